#!/usr/bin/env python3
"""Compares the results of the conformance corpora with the cases that passed before.

    ratchet.py RESULTS.json [--bless]

RESULTS.json is what run_corpus.py writes with --results. passing.txt beside this file lists the cases that pass, one
`corpus/case` a line, sorted. A case in the list that does not pass any more is a failure (status 1). --bless adds
the cases that pass now.
"""
import json
import pathlib
import sys

LIST = pathlib.Path(__file__).with_name("passing.txt")


def main():
    names = [arg for arg in sys.argv[1:] if arg != "--bless"]
    if len(names) != 1:
        sys.exit(__doc__)
    passing, others = set(), {}
    for corpus, found in json.loads(pathlib.Path(names[0]).read_text()).items():
        corpus = corpus.split("/")[-1].split(".")[0]
        for case in found["results"]:
            name = f"{corpus}/{case['name']}"
            if case["result"] == "pass":
                passing.add(name)
            else:
                others[name] = f"{case['result']}: {case.get('reason') or ''}"
    known = set(LIST.read_text().split()) if LIST.exists() else set()
    lost = sorted(known - passing)
    for name in lost:
        print(f"lost: {name}: {others.get(name, 'it was not run')}")
    new = passing - known
    print(f"{len(passing)} cases pass, {len(new)} of them for the first time, {len(lost)} are lost")
    if "--bless" in sys.argv:
        LIST.write_text("".join(f"{name}\n" for name in sorted(known | passing)))
    elif new:
        print("add them with --bless")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
