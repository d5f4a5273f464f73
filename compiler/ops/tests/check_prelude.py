"""Runs the decompositions of the prelude in PyTorch itself and compares them with the operators they stand for.

    python check_prelude.py                      # all files
    python check_prelude.py statistics aten::cov # files and keys

Each function is run as Python, with the calls that `record.py` finds for its key. What is compared: results within a
tolerance, and whether both raise.
"""

import math
import pathlib
import re
import sys
import textwrap
import typing
import warnings

import torch

import record

warnings.filterwarnings("ignore")
PRELUDE = pathlib.Path(__file__).parent / "../prelude"
TOLERANCE = {torch.float16: 1e-2, torch.bfloat16: 1e-1, torch.float32: 1e-4, torch.float64: 1e-7}


class Kiln:
    """kiln's own operators, as far as decompositions use them."""

    @staticmethod
    def scatter_reduce(self, dim, index, src, reduce):
        return torch.scatter_reduce(self, dim, index, src, reduce, include_self=True)

    @staticmethod
    def convert(self, dtype):
        return self.to(dtype)


def load(path):
    """The functions of a file, by the key they are for."""
    found, pending = {}, []

    def op(*keys):
        def note(function):
            found.update({key: function for key in keys})
            return function
        return note

    names = {"op": op, "math": math, "torch": torch, "Tensor": torch.Tensor, "Generator": object, "Device": object, "number": float, "List": typing.List, "Optional": typing.Optional, "Tuple": typing.Tuple, "Dict": typing.Dict}
    text = path.read_text().replace("torch.ops.kiln.", "Kiln.").replace("torch.slice(", "torch.ops.aten.slice(")
    text = re.sub(r"torch\.(linalg_vector_norm|linalg_[a-z_]+|special_[a-z0-9_]+)\(", r"torch.ops.aten.\1(", text)
    text = re.sub(r"(\w+)\.shape\b", r"list(\1.shape)", text)
    names["Kiln"] = Kiln
    exec(compile(text, str(path), "exec"), names)
    return found


def flat(x):
    return [t for i in x for t in flat(i)] if isinstance(x, (list, tuple)) else [x]


def same(a, b):
    if isinstance(a, torch.Tensor) != isinstance(b, torch.Tensor):
        return False
    if not isinstance(a, torch.Tensor):
        return a == b
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if not a.dtype.is_floating_point:
        return torch.equal(a, b)
    t = TOLERANCE[a.dtype]
    return torch.allclose(a, b, t, t, equal_nan=True)


def run(function, schema, bound):
    """Result or exception of a call with all arguments."""
    positional = [v for a, v in zip(schema.arguments, bound) if not a.kwarg_only]
    keyword = {a.name: v for a, v in zip(schema.arguments, bound) if a.kwarg_only}
    copy = lambda v: v.clone() if isinstance(v, torch.Tensor) else v
    try:
        return flat([function(*[copy(v) for v in positional], **{k: copy(v) for k, v in keyword.items()})])
    except Exception as error:  # noqa: BLE001: any exception counts as raising
        return error


def check(key, function):
    operator = record.overload(key)
    calls, wrong = 0, []
    for bound in list(record.cases(key)):
        expected, got = run(operator, operator._schema, bound), run(function, operator._schema, bound)
        calls += 1
        if isinstance(expected, Exception):
            if not isinstance(got, Exception) and not isinstance(expected, NotImplementedError):
                wrong.append(("does not raise", bound, expected))
        elif isinstance(got, Exception) or len(got) != len(expected) or not all(same(a, b) for a, b in zip(got, expected)):
            wrong.append((got, bound, expected))
    print(f"{key}: {calls} calls" + (f", {len(wrong)} WRONG" if wrong else ""))
    for got, bound, expected in wrong[:2]:
        print(textwrap.shorten(f"   {bound}", 400), textwrap.shorten(f"\n   got {got!r}", 300), textwrap.shorten(f"\n   expected {expected!r}", 300), sep="\n")


def main():
    wanted = sys.argv[1:]
    record.LARGEST = 200
    for path in sorted(PRELUDE.glob("*.py")):
        if wanted and path.stem not in wanted and not any("::" in w for w in wanted):
            continue
        for key, function in load(path).items():
            if any("::" in w for w in wanted) and key not in wanted:
                continue
            try:
                check(key, function)
            except Exception as error:  # noqa: BLE001
                print(f"{key}: cannot be checked: {error!r}"[:300])


if __name__ == "__main__":
    main()
