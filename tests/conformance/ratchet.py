#!/usr/bin/env python3
"""Compares the results of the conformance corpora with the cases that passed before.

    ratchet.py RESULTS.json [--bless]
    ratchet.py RESULTS.json --sample

RESULTS.json is what run_corpus.py writes with --results. passing.txt beside this file lists the cases that pass, one
`corpus/case` a line, sorted. A case in the list that does not pass any more is a failure (status 1), and so is any wrong
answer, crash or time-out. --bless adds the cases that pass now. --sample says that only some cases were run: on another
machine, say, where the same ones have to pass.
"""
import json
import pathlib
import sys

LIST = pathlib.Path(__file__).with_name("passing.txt")
NEVER = ("wrong", "crash", "timeout")


def main():
    names = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
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
    expected = known & (passing | set(others)) if "--sample" in sys.argv else known
    lost = sorted(expected - passing)
    for name in lost:
        print(f"lost: {name}: {others.get(name, 'it was not run')}")
    bad = sorted(name for name, what in others.items() if what.startswith(NEVER) and name not in lost)
    for name in bad:
        print(f"{name}: {others[name]}")
    new = passing - known
    print(f"{len(passing)} cases pass, {len(new)} of them for the first time, {len(lost)} are lost")
    if "--bless" in sys.argv:
        LIST.write_text("".join(f"{name}\n" for name in sorted(known | passing)))
    elif new and "--sample" not in sys.argv:
        print("add them with --bless")
    sys.exit(1 if lost or bad else 0)


if __name__ == "__main__":
    main()
