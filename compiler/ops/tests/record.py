"""Records calls of PyTorch's operators and their results, for the test `recorded.rs`.

    python record.py            # every core operator
    python record.py aten::cat  # some, printed instead of written

Writes `recorded.jsonl`, a call a line: [key, arguments, results or {"raises": class}]. The keys are those that
the files of `../src/entries` name. Calls come from PyTorch's own OpInfo samples, from the special values of
each element type, and from the table `BY_HAND` in `by_hand.py`.
"""

import inspect
import itertools
import json
import math
import pathlib
import re
import sys
import warnings
import zlib

import torch
from torch.testing._internal.common_methods_invocations import op_db

from by_hand import BY_HAND, ONLY_BY_HAND

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
NAMES = {torch.float32: "f32", torch.float64: "f64", torch.float16: "f16", torch.bfloat16: "bf16", torch.int64: "i64",
         torch.int32: "i32", torch.int16: "i16", torch.int8: "i8", torch.uint8: "u8", torch.bool: "bool"}
CODES = {torch.uint8: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.int64: 4, torch.float16: 5, torch.float32: 6,
         torch.float64: 7, torch.bool: 11, torch.bfloat16: 15}
LARGEST = 40  # elements of a tensor
BYTES = 700  # of a line


def encode(x):
    if isinstance(x, torch.Tensor):
        if x.dtype not in NAMES:
            raise ValueError("element type")
        flat = x.detach().clone(memory_format=torch.contiguous_format)
        data = bytes(flat.reshape(-1).view(torch.uint8).tolist())
        found = {"t": NAMES[x.dtype], "s": list(x.shape), "h": data.hex()}
        plain = [math.prod(max(n, 1) for n in x.shape[i + 1:]) for i in range(x.dim())]
        return found if list(x.stride()) == plain else {**found, "st": list(x.stride())}
    if isinstance(x, torch.dtype):
        return CODES[x]
    if isinstance(x, torch.device):
        return {"device": str(x)}
    if isinstance(x, (torch.layout, torch.memory_format)):
        return 0
    if isinstance(x, float) and not math.isfinite(x):
        return {"float": str(x)}
    if isinstance(x, (list, tuple, torch.Size)):
        return [encode(i) for i in x]
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    raise ValueError(type(x))


def keys():
    # Strings and containers are the runtime's: its own tests cover them.
    files = [p for p in sorted((HERE / "../src/entries").glob("*.rs")) if p.name != "containers.rs"]
    text = "".join(p.read_text() for p in files)
    known = {l.split("(")[0] for l in (HERE / "../schemas.txt").read_text().splitlines()}
    found = dict.fromkeys(re.findall(r'"((?:aten|prim)::[^"]+)"', text))
    return [k for k in found if k in known]


def overload(key):
    name, _, rest = key.partition("::")[2].partition(".")
    packet = getattr(getattr(torch.ops, key.split("::")[0]), name)
    return getattr(packet, rest or "default")


def fits(value, ty):
    """Whether a Python value is what a schema type asks for, without conversion."""
    ty = str(ty).replace("SymInt", "int")
    if ty.startswith("Optional["):
        return value is None or fits(value, ty[9:-1])
    if ty == "Tensor":
        return isinstance(value, torch.Tensor)
    if ty in ("number", "Scalar"):
        return isinstance(value, (int, float, bool))
    if ty.startswith("List["):
        inner = ty[5:-1]
        return isinstance(value, (list, tuple, torch.Size)) and all(fits(v, inner) for v in value)
    if ty == "int":
        return isinstance(value, (int, torch.dtype, torch.layout, torch.memory_format)) and not isinstance(value, bool)
    if ty == "float":
        return isinstance(value, (float, int)) and not isinstance(value, bool)
    return {"bool": bool, "str": str}.get(ty, object) is object or isinstance(value, {"bool": bool, "str": str}[ty])


def bind(schema, args, kwargs):
    """All arguments of a call in the schema's order, or None where they do not fit."""
    bound = []
    args = list(args)
    kwargs = dict(kwargs)
    for arg in schema.arguments:
        if args and not arg.kwarg_only:
            value = args.pop(0)
        elif arg.name in kwargs:
            value = kwargs.pop(arg.name)
        elif arg.has_default_value():
            value = arg.default_value
        else:
            return None
        if str(arg.type).endswith("List[int]") and isinstance(value, int) and arg.N:
            value = [value] * arg.N
        if str(arg.type).startswith("List[") and isinstance(value, tuple):
            value = list(value)
        if str(arg.type) in ("float", "Optional[float]") and isinstance(value, int):
            value = float(value)
        if not fits(value, arg.type):
            return None
        bound.append(value)
    return None if args or kwargs else bound


def call(function, bound):
    arguments = function._schema.arguments
    positional = [v for a, v in zip(arguments, bound) if not a.kwarg_only]
    keyword = {a.name: v for a, v in zip(arguments, bound) if a.kwarg_only}
    copy = lambda v: v.clone() if isinstance(v, torch.Tensor) else v
    try:
        result = function(*[copy(v) for v in positional], **{k: copy(v) for k, v in keyword.items()})
    except (RuntimeError, IndexError, ValueError, NotImplementedError, TypeError) as error:
        return {"raises": type(error).__name__}
    if "empty" in function._schema.name:
        result = torch.ones_like(result) if result.dtype == torch.bool else torch.zeros_like(result)
    return encode(list(result) if isinstance(result, (tuple, list)) else [result])


def small(x):
    if isinstance(x, torch.Tensor):
        return x.numel() <= LARGEST and x.layout == torch.strided and not x.is_complex()
    return all(small(i) for i in x) if isinstance(x, (list, tuple)) else True


def opinfos(key):
    base = key.partition("::")[2].partition(".")[0]
    for op in op_db:
        names = {op.name.replace("nn.functional.", "").replace("special.", "special_").replace("linalg.", "linalg_").replace(".", "_"), op.aten_name}
        names |= {a.name.replace(".", "_").replace("special_", "special_") for a in op.aliases}
        if base in names or (base.startswith("special_") and base[8:] in names) or base == op.name:
            yield op


def from_opinfo(key, dtype, limit):
    function = overload(key)
    found, seen = 0, set()
    for op in opinfos(key):
        if dtype not in op.dtypes:
            continue
        try:
            samples = op.sample_inputs("cpu", dtype, requires_grad=False)
            for sample in itertools.islice(samples, 80):
                args = [sample.input, *sample.args]
                bound = bind(function._schema, args, sample.kwargs)
                if bound is None or not small(bound):
                    continue
                signature = repr([(tuple(b.shape), b.dtype) if isinstance(b, torch.Tensor) else b for b in bound])
                if signature in seen:
                    continue
                seen.add(signature)
                yield bound
                found += 1
                if found >= limit:
                    return
        except (RuntimeError, TypeError, NotImplementedError, ValueError, AttributeError):
            continue


def special(dtype, first):
    """Special values of an element type."""
    if dtype.is_floating_point:
        values = [0.0, -0.0, 1.0, -1.5, 0.3, math.inf, -math.inf, math.nan, 2.5, -3.0] if first else [math.nan, 2.0, -1.5, 0.0, math.inf, -math.inf, 3.0, 0.7, -0.2, -2.0]
    elif dtype == torch.bool:
        values = [True, False, True, False] if first else [True, True, False, False]
    else:
        low = 0 if dtype == torch.uint8 else -1
        values = [0, 1, 2, 7, 100, 3 * low, 5 * low, 9 * low] if first else [3, 1, 2, 2, 5, 2, 3 if low == 0 else -2, 7]
    return torch.tensor(values, dtype=dtype)


def numbers(dtype):
    return [2.5, -1] if dtype.is_floating_point else [True] if dtype == torch.bool else [3, 2]


def from_values(key, dtype):
    """Calls with special values in all tensors and plain numbers, for operators of elements."""
    function = overload(key)
    if key in SPECIAL_DIFFERS:
        return
    for choice in range(2 if any(str(a.type) == "number" and not a.has_default_value() for a in function._schema.arguments) else 1):
        bound, first = [], True
        for arg in function._schema.arguments:
            if arg.has_default_value():
                value = arg.default_value
            elif str(arg.type) == "Tensor":
                value, first = special(dtype, first), False
                if arg.name in ("condition", "mask"):
                    value, first = special(dtype, True).bool(), True
            elif str(arg.type) == "number":
                value = numbers(dtype)[choice % len(numbers(dtype))]
            elif str(arg.type) == "int":
                value = 3
            elif str(arg.type) == "float":
                value = 0.5
            else:
                return
            bound.append(value)
        yield bound


ELEMENTS = ("pointwise.rs", "binary.rs", "activations.rs")
# PyTorch's results for infinities and poles differ between its own kernels.
SPECIAL_DIFFERS = {"aten::gelu", "aten::special_zeta", "aten::special_zeta.other_scalar", "aten::special_zeta.self_scalar"}
SCALARS = {"int": [7, -3, 5, 2], "float": [2.5, -7.25, 0.3, 1.0], "bool": [True, False]}


def scalar_calls(key):
    arguments = overload(key)._schema.arguments
    kinds = [str(a.type) for a in arguments]
    if any(k not in SCALARS for k in kinds):
        return [[2.5] if k == "number" else [] for k in kinds]
    pools = [SCALARS[k] for k in kinds]
    calls = [list(c) for c in itertools.product(*pools)]
    return calls[:: max(1, len(calls) // 9)]


def cases(key):
    torch.manual_seed(zlib.crc32(key.encode()))
    if key in ONLY_BY_HAND:
        yield from BY_HAND[key]()
        return
    arguments = overload(key)._schema.arguments
    if not any("Tensor" in str(a.type) for a in arguments) and not any("List" in str(a.type) for a in arguments) and key not in BY_HAND:
        yield from scalar_calls(key)
        return
    if key in BY_HAND:
        yield from BY_HAND[key]()
    text = "".join((HERE / "../src/entries" / f).read_text() for f in ELEMENTS)
    is_elements = f'"{key}"' in text
    others = [torch.float64, torch.int64, torch.float16, torch.bool, torch.int32, torch.bfloat16, torch.uint8]
    start = zlib.crc32(key.encode()) % len(others)
    for i, dtype in enumerate([torch.float32] + others[start:] + others[:start]):
        if is_elements and i < 5:
            yield from from_values(key, dtype)
        if i < (2 if is_elements else 5):
            yield from from_opinfo(key, dtype, 2 if i == 0 else 1)


def is_alias(key):
    """Whether an earlier key of the same line in the sources shares the rule."""
    for path in (HERE / "../src/entries").glob("*.rs"):
        for group in re.findall(r'\[((?:\s*"[^"]+",?)+)\s*\] "', path.read_text()):
            names = re.findall(r'"([^"]+)"', group)
            if key in names[1:]:
                return True
    return False


def record(key):
    lines = []
    most = 4 if is_alias(key) else 30
    function = overload(key)
    for bound in cases(key):
        try:
            line = json.dumps([key, encode(bound), call(function, bound)], separators=(",", ":"))
        except ValueError:
            continue
        if len(line) <= BYTES and line not in lines:
            lines.append(line)
        if len(lines) >= most:
            break
    return lines


def main():
    wanted = sys.argv[1:]
    lines, missing = [], []
    for key in wanted or keys():
        try:
            found = record(key)
        except AttributeError as error:
            found = []
            print(key, error)
        lines += found
        if not found:
            missing.append(key)
    if wanted:
        print("\n".join(lines))
    else:
        (HERE / "recorded.jsonl").write_text("\n".join(lines) + "\n")
        print(len(lines), "calls;", "without one:", *missing)


if __name__ == "__main__":
    main()
