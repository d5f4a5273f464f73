"""Runs the bundled torch.nn in PyTorch itself and compares it with PyTorch's own.

    python check_nn.py                 # all
    python check_nn.py LSTM interpolate # classes and functions

Compared are, of each class: the state_dict (names, order, shapes, types), public attributes, results in eval mode and in
training mode, both as Python and under torch.jit.script, and errors with their messages; of each function: results and
errors. A class or function without a sample is an error.
"""

import ast
import collections
import copy
import math
import pathlib
import re
import sys
import types
import warnings

import torch
from torch import nn
from torch.nn.utils import rnn

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent
TOLERANCE = 1e-5
LEFT_OUT = "linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity hardshrink logsigmoid one_hot pairwise_distance prelu relu_ scaled_dot_product_attention softplus softshrink pdist".split()
CONTAINERS = "Sequential ModuleList ModuleDict ParameterList ParameterDict".split()


# The bundled files


def broadcast(function, node):
    """A function to which numbers are passed as PyTorch's compiler passes them: as lists, where lists are asked for."""
    names = [a.arg for a in node.args.args]
    wide = {}
    for a in node.args.args:
        found = re.search(r"BroadcastingList(\d)\[(\w+)\]", ast.unparse(a.annotation)) if a.annotation else None
        if found:
            wide[a.arg] = (int(found[1]), {"int": int, "float": float}[found[2]])
    if not wide:
        return function

    def call(*args, **kwargs):
        arguments = dict(zip(names, args)) | kwargs
        for a, d in zip(reversed(node.args.args), reversed(node.args.defaults)):
            arguments.setdefault(a.arg, ast.literal_eval(d))
        for name, (count, kind) in wide.items():
            value = arguments[name]
            if isinstance(value, (int, float)):
                arguments[name] = [kind(value)] * count
            elif value is not None:
                arguments[name] = [kind(v) for v in value]
        return function(**arguments)

    return call


def read(path, names, python):
    text = path.read_text()
    text = re.sub(r"^(import torch\.nn\.functional as F|from torch\.nn\.utils\.rnn import .*)$", "", text, flags=re.M)
    if python:
        text = re.sub(r"(?<!Expected )\b([\w.]+)\.shape\b", r"list(\1.shape)", text)
    exec(compile(text, str(path), "exec"), names)
    return [n for n in ast.parse(text).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]


def load(python):
    """The three units as modules, for Python or for PyTorch's compiler, and the names each defines."""
    units, defined = {}, {}
    for unit in ("functional", "utils_rnn", "nn"):
        units[unit] = sys.modules[f"kiln_{unit}_{python}"] = types.ModuleType(f"kiln_{unit}_{python}")
    F = units["functional"]
    for name in LEFT_OUT:
        setattr(F, name, getattr(nn.functional, name))
    nodes = read(HERE / "functional.py", F.__dict__, python)
    defined["functional"] = [n.name for n in nodes]
    units["nodes"] = {n.name: n for n in nodes}
    if python:
        for n in nodes:
            setattr(F, n.name, broadcast(getattr(F, n.name), n))
    nodes = read(HERE / "utils_rnn.py", units["utils_rnn"].__dict__, python)
    defined["utils_rnn"] = [n.name for n in nodes]
    units["nodes"].update({n.name: n for n in nodes})
    names = units["nn"].__dict__
    names.update(Module=nn.Module, Parameter=nn.Parameter, deepcopy=copy.deepcopy, F=F, PackedSequence=units["utils_rnn"].PackedSequence)
    defined["nn"] = []
    for path in sorted(HERE.glob("*.py")):
        if path.name not in ("functional.py", "utils_rnn.py", pathlib.Path(__file__).name):
            new = [n.name for n in read(path, names, python)]
            twice = set(new) & set(defined["nn"])
            assert not twice, f"{path.name}: defined twice: {twice}"
            defined["nn"] += new
    if not python:
        for name in CONTAINERS:
            names[name] = getattr(nn, name)
        torch.jit.export(names["_SimpleRNN"].forward_packed)
        torch.jit.export(names["LSTM"].forward_packed)
    return units, defined


# Comparing


def flat(x):
    if isinstance(x, (list, tuple)):
        return [t for i in x for t in flat(i)]
    return [x]


def same(a, b):
    a, b = flat(a), flat(b)
    if len(a) != len(b):
        return False
    for x, y in zip(a, b):
        if isinstance(x, torch.Tensor) != isinstance(y, torch.Tensor):
            return False
        if isinstance(x, torch.Tensor):
            if x.shape != y.shape or x.dtype != y.dtype or not torch.allclose(x, y, TOLERANCE, TOLERANCE, equal_nan=True):
                return False
        elif x != y:
            return False
    return True


def fresh(x):
    if isinstance(x, torch.Tensor):
        return x.clone()
    if isinstance(x, dict):
        return {k: fresh(v) for k, v in x.items()}
    if type(x) in (list, tuple):
        return type(x)(fresh(v) for v in x)
    return x


def run(function, args, kwargs):
    """The result or the exception of a call."""
    try:
        return function(*fresh(args), **fresh(kwargs))
    except Exception as error:  # noqa: BLE001: any exception counts as raising
        return error


def message(error):
    """The type and text of an error, with sizes as lists and sets in order."""
    text = re.sub(r"torch\.Size\((\[.*?\])\)", r"\1", f"{type(error).__name__}: {error}")
    text = re.sub(r"(output size of|scale_factor of shape) \((.*?)\)", r"\1 [\2]", text)
    return re.sub(r"\{('.*?')\}", lambda m: str(sorted(m[1].split(", "))), text)


def compare(what, expected, got, messages=True):
    """What is wrong with a result, if anything."""
    if isinstance(expected, Exception) or isinstance(got, Exception):
        if not (isinstance(expected, Exception) and isinstance(got, Exception)):
            return [f"{what}: got {got!r}, expected {expected!r}"[:900]]
        return [] if not messages or message(got) == message(expected) else [f"{what}: got {message(got)}\n   expected {message(expected)}"]
    return [] if same(got, expected) else [f"{what}: got {got}\n   expected {expected}"[:900]]


def T(*shape, seed=0, low=-1.0, high=1.0, dtype=None):
    """A tensor with random numbers, or integers of a type."""
    generator = torch.Generator().manual_seed(seed + 31 * sum(shape))
    if dtype in (torch.long, torch.int):
        return torch.randint(int(low), int(high), shape, generator=generator, dtype=dtype)
    return torch.rand(shape, generator=generator) * (high - low) + low


class Call:
    """Arguments."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


def fill(module):
    for i, (name, value) in enumerate(module.state_dict().items()):
        if value.is_floating_point():
            value.copy_(T(*value.shape, seed=i, low=0.5 if name.endswith("running_var") else -0.5, high=1.5 if name.endswith("running_var") else 0.5))


def substitute(units, x):
    """Constructor arguments made of the bundled classes: a function of the unit torch.nn stands for its result."""
    if isinstance(x, types.LambdaType) and x.__name__ == "<lambda>":
        return x(units)
    return x


def check_class(name, bundles, sample):
    """The errors of a class with the arguments of a constructor and of calls."""
    constructor, calls = sample[0], sample[1:]
    theirs = run(lambda: getattr(nn, name)(*[substitute(nn, a) for a in constructor.args], **{k: substitute(nn, a) for k, a in constructor.kwargs.items()}), [], {})
    wrong = []
    for python, units in bundles.items():
        what = f"{name}{constructor.args}{constructor.kwargs or ''}"[:200] + (" as Python" if python else " scripted")
        own = units["nn"]
        ours = run(lambda: getattr(own, name)(*[substitute(own, a) for a in constructor.args], **{k: substitute(own, a) for k, a in constructor.kwargs.items()}), [], {})
        if isinstance(theirs, Exception) or isinstance(ours, Exception):
            wrong += compare(what, theirs, ours)
            continue
        fill(theirs)
        described = [(k, v.shape, v.dtype) for k, v in theirs.state_dict().items()]
        got = [(k, v.shape, v.dtype) for k, v in ours.state_dict().items()]
        if got != described:
            wrong.append(f"{what}: state_dict\n   got {got}\n   expected {described}")
            continue
        for key, value in vars(theirs).items():
            if isinstance(value, (int, float, str, tuple, type(None))) and not key.startswith("_") and key not in ("training", "activation_relu_or_gelu", "use_nested_tensor") and (not hasattr(ours, key) or getattr(ours, key) != value or isinstance(getattr(ours, key), tuple) != isinstance(value, tuple)):
                wrong.append(f"{what}: .{key} is {getattr(ours, key, 'missing')}, expected {value}")
        initial = copy.deepcopy(theirs.state_dict())
        ours.load_state_dict(initial)
        compiled = ours if python else run(lambda: torch.jit.script(ours), [], {})
        if isinstance(compiled, Exception):
            wrong.append(f"{what}: {compiled}"[:1500])
            continue
        for training in (False, True):
            if training and any("ropout" in m.__class__.__name__ or isinstance(m, nn.RReLU) or getattr(m, "dropout", 0.0) for m in theirs.modules() if not isinstance(getattr(m, "dropout", 0.0), nn.Module)):
                continue
            reference = theirs.train(training)
            reference.load_state_dict(initial)
            compiled.train(training)
            compiled.load_state_dict(initial)
            for call in calls:
                expected, result = run(reference, call.args, call.kwargs), run(compiled, call.args, call.kwargs)
                wrong += compare(f"{what} called{' in training' if training else ''} with {[getattr(a, 'shape', a) for a in call.args]} {list(call.kwargs)}", expected, result, python)
            if not same(list(reference.state_dict().values()), list(compiled.state_dict().values())):
                wrong.append(f"{what}: state after calls")
    return wrong


def check_function(name, reference, bundles, unit, call):
    wrong = []
    expected = run(reference, call.args, call.kwargs)
    for python, units in bundles.items():
        function = getattr(units[unit], name)
        if not python:
            function = run(lambda: torch.jit.script(function), [], {})
            if isinstance(function, Exception):
                return wrong + [f"{name} scripted: {function}"[:1500]]
            function = broadcast(function, units["nodes"][name])
        shown = f"{name}{tuple(tuple(a.shape) if isinstance(a, torch.Tensor) else a for a in call.args)} {call.kwargs or ''}"[:300]
        wrong += compare(shown + (" as Python" if python else " scripted"), expected, run(function, call.args, call.kwargs), python)
    return wrong


# Samples: of a class, constructor arguments and then calls; of a function, calls


C = Call
X1, X2, X3 = T(2, 4, 9), T(2, 4, 7, 8), T(2, 4, 5, 6, 5)
ONE = [C(X2), C(T(5))]
IMAGE = torch.arange(2 * 4 * 6 * 6, dtype=torch.float).reshape(2, 4, 6, 6).sin()
CLASSES, FUNCTIONS, SEQUENCES = collections.defaultdict(list), collections.defaultdict(list), collections.defaultdict(list)


def sample(name, constructor, *calls):
    CLASSES[name].append((constructor, *calls))


def linear_samples():
    sample("Identity", C(3, a=4), C(X2))
    for k in ({}, {"bias": False}, {"dtype": torch.float64}):
        x = T(5, 3).to(k.get("dtype", torch.float))
        sample("Linear", C(3, 4, **k), C(x), C(x[0]))
    sample("Bilinear", C(3, 4, 5), C(T(2, 3), T(2, 4)))
    sample("Bilinear", C(3, 4, 5, False), C(T(2, 3), T(2, 4)))
    sample("Bilinear", C(0, 4, 5))


def convolution_samples():
    for n, x in ((1, X1), (2, X2), (3, X3)):
        name, back = f"Conv{n}d", f"ConvTranspose{n}d"
        for k in ({}, {"stride": 2, "padding": 1}, {"groups": 2, "bias": False, "dilation": 2}, {"padding": "same"}, {"padding": "valid"}, {"padding": "same", "dilation": 2, "padding_mode": "circular"}, {"padding": (1,) * n, "stride": [2] * n}, {"padding": 1, "padding_mode": "reflect"}, {"padding": 1, "padding_mode": "replicate"}):
            sample(name, C(4, 6, 3, **k), C(x), C(x[0]))
        sample(name, C(4, 6, (2, 3, 1)[:n], padding="same"), C(x))
        for k in ({"groups": 0}, {"groups": 3}, {"groups": 4}, {"padding": "x"}, {"padding": "same", "stride": 2}):
            sample(name, C(4, 6, 3, **k))
        for k in ({}, {"stride": 2, "padding": 1, "output_padding": 1}, {"groups": 2, "bias": False, "dilation": 2}, {"stride": (3,) * n, "padding": (1,) * n}):
            sample(back, C(4, 6, 3, **k), C(x), C(x[0]))
        wanted = [2 * s + 1 for s in x.shape[2:]]
        sample(back, C(4, 6, 3, stride=2), C(x, wanted), C(x, output_size=list(x.shape[:2]) + [s + 1 for s in wanted]), C(x, [1] * n), C(x, [1] * 7), C(x[0], wanted))
        sample(back, C(4, 6, 3, padding_mode="reflect"))


def normalization_samples():
    for n, x in ((1, X1), (2, X2), (3, X3)):
        for k in ({}, {"affine": False}, {"track_running_stats": False}, {"momentum": None}, {"momentum": 0.3, "eps": 1e-3}, {"bias": False}):
            sample(f"BatchNorm{n}d", C(4, **k), C(x), C(x * 2), C(T(4, 4)), C(T(1, 4)), C(T(4)))
        for k in ({}, {"affine": True}, {"track_running_stats": True}, {"affine": True, "track_running_stats": True, "momentum": 0.3}, {"affine": True, "bias": False}):
            sample(f"InstanceNorm{n}d", C(4, **k), C(x), C(x[0]), C(T(4)), C(x.transpose(1, 2)), C(torch.ones([2, 4] + [1] * n)))
    sample("SyncBatchNorm", C(4), C(X2))
    for k in ({}, {"elementwise_affine": False}, {"bias": False}, {"eps": 0.1}):
        sample("LayerNorm", C(8, **k), C(X2))
        sample("LayerNorm", C((7, 8), **k), C(X2))
    for k in ({}, {"elementwise_affine": False}, {"eps": 0.1}):
        sample("RMSNorm", C(8, **k), C(X2))
        sample("RMSNorm", C([7, 8], **k), C(X2))
    for k in ({}, {"affine": False}, {"bias": False}, {"eps": 0.1}):
        sample("GroupNorm", C(2, 4, **k), C(X2), C(T(2, 4)), C(T(4)))
    sample("GroupNorm", C(4, 4), C(T(1, 4)))
    sample("GroupNorm", C(3, 4))
    for a in ((2,), (3, 0.1, 0.5, 2.0)):
        sample("LocalResponseNorm", C(*a), C(X1), C(X2), C(X3), C(T(2, 2)), C(torch.ones(0, 2, 3)))
        sample("CrossMapLRN2d", C(*a), C(X2), C(T(2, 9, 2, 2)), C(T(2, 2)))
    for name in "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout".split():
        for a in ((), (0.3,), (0.3, True)):
            sample(name, C(*a), C(X1), C(X2), C(X3), C(T(2, 3)))
        sample(name, C(2))


def activation_samples():
    for name in "ReLU RReLU Hardsigmoid Hardswish SiLU Mish ELU CELU SELU LeakyReLU Hardtanh ReLU6".split():
        sample(name, C(), *ONE)
        sample(name, C(inplace=True), *ONE)
    for name in "Sigmoid Tanh LogSigmoid Softsign Tanhshrink Hardshrink Softshrink Softplus GLU GELU PReLU Softmin Softmax LogSoftmax Softmax2d".split():
        sample(name, C(), C(X2), C(T(4, 4)), C(T(4, 4, 4)))
    sample("Softmax2d", C(), C(T(4)))
    sample("Threshold", C(0.1, 20), *ONE)
    sample("Threshold", C(0.1, 20, True), *ONE)
    sample("RReLU", C(0.1, 0.4), *ONE)
    sample("ELU", C(2), *ONE)
    sample("CELU", C(0.5), *ONE)
    sample("LeakyReLU", C(1), *ONE)
    sample("Hardtanh", C(-2, 0.5), *ONE)
    sample("Hardtanh", C(1.0, 0.0))
    sample("Hardtanh", C(min_value=-0.5, max_value=0.5), *ONE)
    sample("Hardshrink", C(0.1), *ONE)
    sample("Softshrink", C(0.1), *ONE)
    sample("Softplus", C(2, 1), *ONE)
    sample("GLU", C(1), C(X2), C(torch.tensor(1.0)))
    sample("GELU", C("tanh"), *ONE)
    sample("GELU", C(approximate="none"), *ONE)
    sample("PReLU", C(4, 0.1), C(X2))
    for name in ("Softmin", "Softmax", "LogSoftmax"):
        sample(name, C(dim=-1), *ONE)
        sample(name, C(1), C(X2))


def pooling_samples():
    for n, x in ((1, X1), (2, X2), (3, X3)):
        one, many = 2, (3, 2, 2)[:n]
        for k in ({}, {"stride": 1}, {"stride": many, "padding": 1}, {"ceil_mode": True}):
            for size in (one, many):
                for indices in (False, True):
                    sample(f"MaxPool{n}d", C(size, return_indices=indices, **k), C(x), C(x[0]))
                sample(f"AvgPool{n}d", C(size, **k), C(x), C(x[0]))
            sample(f"AvgPool{n}d", C(3, count_include_pad=False, **k), C(x))
        sample(f"MaxPool{n}d", C(2, dilation=2), C(x))
        if n > 1:
            sample(f"AvgPool{n}d", C(2, divisor_override=3), C(x))
        for k in ({}, {"stride": 1}, {"ceil_mode": True}):
            for p in (2, 3.0, 1):
                sample(f"LPPool{n}d", C(p, 2, **k), C(x.abs()))
            if n > 1:
                sample(f"LPPool{n}d", C(2, many, **k), C(x.abs()))
        sizes = [1, 3, (4, 3, 2)[:n] if n > 1 else (4,)] + ([(None, 3, 2)[:n], (2, None, None)[:n]] if n > 1 else [])
        for size in sizes:
            sample(f"AdaptiveAvgPool{n}d", C(size), C(x), C(x[0]))
            for indices in (False, True):
                sample(f"AdaptiveMaxPool{n}d", C(size, indices), C(x), C(x[0]))
        for k in ({}, {"stride": 1}, {"padding": 1}):
            pooled, where = getattr(nn, f"MaxPool{n}d")(2, return_indices=True, **k)(x)
            sample(f"MaxUnpool{n}d", C(2, **k), C(pooled, where, output_size=list(x.shape[2:])), C(pooled, where), C(pooled, where, output_size=list(x.shape)), C(pooled, where, [1] * 8), C(pooled, where, [99] * n))
        for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular"):
            for amount in (1, (1, 0, 2, 1, 0, 1)[: 2 * n]):
                sample(f"{kind}Pad{n}d", C(amount, 3) if kind == "Constant" else C(amount), C(x), C(x[0]), C(T(3)))
        sample(f"ConstantPad{n}d", C(1, 2.5), C(x))


def shape_samples():
    sample("Flatten", C(), C(X2), C(T(3, 2)))
    sample("Flatten", C(0, 2), C(X2))
    sample("Unflatten", C(1, (2, 2)), C(X2))
    sample("Unflatten", C(-1, (4, -1)), C(X2))
    sample("Unflatten", C(1, 3))
    sample("Unflatten", C(1, (2.0, 3)))
    sample("Fold", C((4, 5), 2), C(T(1, 12, 12)), C(T(12, 12)))
    sample("Fold", C(6, (2, 2), stride=2, padding=1), C(T(1, 8, 16)))
    sample("Unfold", C(2), C(X2))
    sample("Unfold", C((2, 3), dilation=2, padding=1, stride=(1, 2)), C(X2))
    sample("PixelShuffle", C(2), C(X2))
    sample("PixelUnshuffle", C(2), C(IMAGE))
    sample("ChannelShuffle", C(2), C(X2), C(X1))
    for mode in ("nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear", "wrong"):
        for k in ({"size": 5}, {"scale_factor": 2}, {"scale_factor": 1.7}, {"scale_factor": 1.7, "recompute_scale_factor": True}, {"size": 5, "recompute_scale_factor": True}, {}, {"size": 3, "scale_factor": 2}) + (({"size": 5, "align_corners": True},)):
            sample("Upsample", C(mode=mode, **k), C(X1), C(X2), C(X3), C(T(2, 2)))
    sample("Upsample", C((5, 6)), C(X2), C(X1))
    sample("Upsample", C(scale_factor=(2, 1.5)), C(X2), C(X1))
    for name in ("UpsamplingNearest2d", "UpsamplingBilinear2d"):
        sample(name, C(scale_factor=2), C(X2))
        sample(name, C((5, 6)), C(X2))
        sample(name, C(9), C(X2))
    for k in ({}, {"p": 1}, {"p": 3.0, "eps": 0.1, "keepdim": True}):
        sample("PairwiseDistance", C(**k), C(T(3, 4), T(3, 4, seed=1)))
    sample("CosineSimilarity", C(), C(T(3, 4), T(3, 4, seed=1)))
    sample("CosineSimilarity", C(-1, 0.5), C(X2, X2.flip(0)))


def sparse_samples():
    index = T(3, 4, low=0, high=6, dtype=torch.long)
    for k in ({}, {"padding_idx": 0}, {"padding_idx": -1}, {"max_norm": 0.5}, {"max_norm": 1, "norm_type": 1}, {"_weight": T(6, 5)}, {"dtype": torch.float64}):
        sample("Embedding", C(6, 5, **k), C(index), C(index[0]), C(index.int()))
    sample("Embedding", C(6, 5, padding_idx=6))
    sample("Embedding", C(6, 5, padding_idx=-7))
    sample("Embedding", C(6, 5, _weight=T(5, 5)))
    offsets = torch.tensor([0, 3, 3])
    for k in ({}, {"mode": "sum"}, {"mode": "max"}, {"padding_idx": 1}, {"mode": "sum", "padding_idx": -2}, {"max_norm": 0.5}, {"mode": "x"}):
        sample("EmbeddingBag", C(6, 5, **k), C(index), C(index.reshape(-1), offsets), C(index, offsets), C(index[0]), C(index.reshape(3, 2, 2)), C(index[0], offsets.reshape(1, 3)), C(index, per_sample_weights=T(3, 4)), C(index, None, T(3, 3)))
    sample("EmbeddingBag", C(6, 5, include_last_offset=True), C(index.reshape(-1), torch.tensor([0, 3, 12])))


def recurrent_samples():
    for name in ("RNN", "GRU", "LSTM"):
        options = [{}, {"num_layers": 2}, {"bidirectional": True}, {"batch_first": True}, {"bias": False}, {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.3}]
        options += {"RNN": [{"nonlinearity": "relu"}], "GRU": [], "LSTM": [{"proj_size": 2}, {"proj_size": 2, "bidirectional": True, "num_layers": 2}]}[name]
        for k in options:
            layers = k.get("num_layers", 1) * (2 if k.get("bidirectional") else 1)
            x, h, c = T(2, 2, 3), T(layers, 2, k.get("proj_size", 0) or 4), T(layers, 2, 4, seed=3)
            state = lambda h, c: (h, c) if name == "LSTM" else h
            sample(name, C(3, 4, **k), C(x), C(x, state(h, c)), C(x[0]), C(x[0], state(h[:, 0], c[:, 0])), C(T(2, 2, 2, 2)), C(T(2, 2, 2)), C(x, state(h[0], c[0])), C(x, state(T(9, 9, 9), T(9, 9, 9))), C(x[0], state(h, c)))
        for k in ({"dropout": 2.0}, {"dropout": True}, {"num_layers": 0}, {"hidden_size": 0}, {"hidden_size": 1.5}, {"proj_size": 4}, {"proj_size": -1}) + (({"nonlinearity": "x"},) if name == "RNN" else ()):
            sample(name, C(**({"input_size": 3, "hidden_size": 4} | k)))
    sample("RNN", C(3, 4, 2, "relu", False, True), C(T(2, 2, 3)))
    sample("GRU", C(3, 4, 2, False, True), C(T(2, 2, 3)))
    sample("LSTM", C(3, 4, 2, False, True, 0.0, True, 2), C(T(2, 2, 3)))
    sample("RNNBase", C("LSTM", 3, 4, 2, bidirectional=True, proj_size=2))
    sample("RNNCellBase", C(3, 4, True, 3))
    for name in ("RNNCell", "GRUCell", "LSTMCell"):
        for k in [{}, {"bias": False}] + ([{"nonlinearity": "relu"}, {"nonlinearity": "x"}] if name == "RNNCell" else []):
            state = lambda h: (h, h * 2) if name == "LSTMCell" else h
            sample(name, C(3, 4, **k), C(T(2, 3)), C(T(3)), C(T(2, 3), state(T(2, 4))), C(T(3), state(T(4))), C(T(2, 2, 3)), C(T(2, 3), state(T(1, 1, 4))))


def attention_samples():
    x, y = T(5, 2, 8), T(6, 2, 8, seed=1)
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
    padding = torch.tensor([[False, False, True, False, True], [False] * 5])
    loose = torch.zeros(5, 5).masked_fill(causal, -math.inf)
    for k in ({}, {"bias": False}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True}, {"dropout": 0.2}):
        a, b = (x.transpose(0, 1), y.transpose(0, 1)) if k.get("batch_first") else (x, y)
        calls = [C(a, b, b), C(a, b, b, need_weights=False), C(a, a, a, average_attn_weights=False), C(a, a, a, attn_mask=loose, is_causal=True, need_weights=False), C(a, a, a, is_causal=True), C(a, b, b, attn_mask=causal), C(a, a, b), C(a, a, a, T(2, 5).to(torch.int)), C(a, a, a, padding[0]), C(T(2, 5, 2, 8), a, a), C(T(5, 2, 6), a, a), C(a, a, a, attn_mask=T(4)), C(a, b[0], b[0])]
        u = T(5, 8)
        for weights in (True, False):
            for mask in (causal, loose, T(4, 5, 5)):
                calls += [C(a, a, a, attn_mask=mask, need_weights=weights), C(a, a, a, padding, weights, mask)]
            calls += [C(a, a, a, key_padding_mask=padding, need_weights=weights), C(u, u, u, need_weights=weights), C(u, u, u, padding[0], weights), C(u, u, u, attn_mask=T(2, 5, 5), need_weights=weights), C(u, u, u, attn_mask=T(3, 5, 5), need_weights=weights), C(a, a, a, torch.zeros(2, 5).masked_fill(padding, -math.inf), weights)]
        sample("MultiheadAttention", C(8, 2, **k), *calls)
    sample("MultiheadAttention", C(8, 4, kdim=6, vdim=7), C(x, T(6, 2, 6), T(6, 2, 7)), C(x, T(6, 2, 6), T(6, 2, 7), need_weights=False), C(x, T(6, 2, 6), T(5, 2, 7)))
    sample("MultiheadAttention", C(8, 4, kdim=6, dtype=torch.float64))
    sample("MultiheadAttention", C(5, 2))
    sample("MultiheadAttention", C(0, 2))
    for k in ({}, {"activation": "gelu"}, {"activation": lambda u: u.GELU("tanh")}, {"activation": nn.functional.silu}, {"norm_first": True}, {"batch_first": True, "bias": False, "layer_norm_eps": 0.1}, {"activation": "x"}, {"dropout": 0.0}):
        a, b = (x.transpose(0, 1), y.transpose(0, 1)) if k.get("batch_first") else (x, y)
        sample("TransformerEncoderLayer", C(8, 2, 12, **k), C(a), C(a, loose), C(a, causal, padding), C(a, None, padding), C(a, src_mask=loose, is_causal=True), C(T(5, 8)), C(T(1, 1, 2, 8)))
        sample("TransformerDecoderLayer", C(8, 2, 12, **k), C(a, b), C(a, b, loose), C(b, a, memory_key_padding_mask=padding), C(a, b, tgt_mask=loose, tgt_key_padding_mask=padding, tgt_is_causal=True), C(a, a, memory_mask=causal), C(T(5, 8), T(6, 8)))
        if k.get("activation") == "x":
            continue
        encoder = lambda u, k=k: u.TransformerEncoderLayer(8, 2, 12, **{n: substitute(u, v) for n, v in k.items()})
        decoder = lambda u, k=k: u.TransformerDecoderLayer(8, 2, 12, **{n: substitute(u, v) for n, v in k.items()})
        sample("TransformerEncoder", C(encoder, 2), C(a), C(a, loose), C(a, causal, padding), C(a, mask=loose, is_causal=True))
        sample("TransformerEncoder", C(encoder, 2, lambda u: u.LayerNorm(8)), C(a), C(a, None, padding))
        sample("TransformerDecoder", C(decoder, 2), C(a, b), C(a, b, loose), C(b, a, memory_key_padding_mask=padding))
        sample("TransformerDecoder", C(decoder, 2, norm=lambda u: u.LayerNorm(8)), C(a, b), C(a, b, tgt_mask=loose, tgt_is_causal=True))
        sample("Transformer", C(8, 2, 2, 1, 12, **k), C(a, b), C(b, a, tgt_mask=loose), C(a, b, src_key_padding_mask=padding, memory_key_padding_mask=padding), C(a, T(5, 3, 8)), C(T(5, 2, 9), T(5, 2, 9)))
    sample("Transformer", C(8, 2, custom_encoder=lambda u: u.TransformerEncoder(u.TransformerEncoderLayer(8, 4, 4), 1), num_decoder_layers=1, dim_feedforward=8), C(x, y))


def container_samples():
    sample("Sequential", C(), C(X2))
    sample("Sequential", C(lambda u: u.Linear(8, 3), lambda u: u.ReLU(), lambda u: u.Linear(3, 2)), C(X2))
    sample("Sequential", C(lambda u: collections.OrderedDict(a=u.Linear(8, 3), b=u.ReLU())), C(X2))
    sample("Sequential", C(lambda u: u.Sequential(u.Linear(8, 3), u.ReLU(), u.Linear(3, 8))[::2]), C(X2))
    sample("Sequential", C(lambda u: u.Sequential(u.Linear(8, 3)).append(u.Linear(3, 8)).extend([u.ReLU()]).insert(1, u.Tanh())), C(X2))
    sample("Sequential", C(lambda u: u.Sequential(u.Linear(8, 3)) + u.Sequential(u.Linear(3, 8))), C(X2))
    sample("Sequential", C(lambda u: u.Sequential(u.Linear(8, 3), u.Linear(3, 2)).pop(-2)), C(X2))
    sample("ModuleList", C())
    sample("ModuleList", C(lambda u: [u.Linear(8, 3), u.ReLU()]))
    sample("ModuleList", C(lambda u: list(u.ModuleList([u.Linear(i + 1, 3) for i in range(5)])[1:4]) + [u.ModuleList([u.Linear(1, 2)])[-1]]))
    sample("ModuleList", C(lambda u: u.ModuleList([u.Linear(8, 3)]).append(u.Linear(1, 1)).extend([u.Linear(2, 2)]) + u.ModuleList([u.ReLU()])))
    sample("ModuleDict", C())
    sample("ModuleDict", C(lambda u: {"a": u.Linear(8, 3), "b": u.ReLU()}))
    sample("ModuleDict", C(lambda u: [("a", u.Linear(8, 3)), ("b", u.ReLU())]))
    sample("ParameterList", C())
    sample("ParameterList", C(lambda u: [T(3), nn.Parameter(T(4))]))
    sample("ParameterDict", C(lambda u: {"a": T(3), "b": nn.Parameter(T(4))}))


def loss_samples():
    x, y = T(4, 5), T(4, 5, seed=1)
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0])
    reductions = [{}, {"reduction": "sum"}, {"reduction": "none"}, {"reduction": "wrong"}]
    old = [{"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}]
    pairs = {
        "L1Loss": (x, y), "MSELoss": (x, y), "SmoothL1Loss": (x, y), "HuberLoss": (x, y), "PoissonNLLLoss": (x, y.abs()),
        "KLDivLoss": (x.log_softmax(1), y.softmax(1)), "BCELoss": (x.sigmoid(), y.sigmoid()), "BCEWithLogitsLoss": (x, y.sigmoid()), "HingeEmbeddingLoss": (x, y.sign()),
        "MultiLabelMarginLoss": (x, torch.tensor([[0, 2, -1, 0, 0]] * 4)), "SoftMarginLoss": (x, y.sign()), "MultiLabelSoftMarginLoss": (x, (y > 0).float()),
        "CosineEmbeddingLoss": (x, y, sign), "MarginRankingLoss": (x[:, 0], y[:, 0], sign), "MultiMarginLoss": (x, torch.tensor([0, 4, 2, 1])), "TripletMarginLoss": (x, y, x.flip(0)),
        "CrossEntropyLoss": (x, torch.tensor([0, 4, 2, 1])), "NLLLoss": (x.log_softmax(1), torch.tensor([0, 4, 2, 1])), "NLLLoss2d": (T(2, 5, 3, 3).log_softmax(1), T(2, 3, 3, low=0, high=5, dtype=torch.long)),
    }
    functions = {"KLDivLoss": "kl_div", "BCELoss": "binary_cross_entropy", "BCEWithLogitsLoss": "binary_cross_entropy_with_logits", "L1Loss": "l1_loss", "MSELoss": "mse_loss", "SmoothL1Loss": "smooth_l1_loss", "HuberLoss": "huber_loss", "PoissonNLLLoss": "poisson_nll_loss", "HingeEmbeddingLoss": "hinge_embedding_loss", "MultiLabelMarginLoss": "multilabel_margin_loss", "SoftMarginLoss": "soft_margin_loss", "MultiLabelSoftMarginLoss": "multilabel_soft_margin_loss", "CosineEmbeddingLoss": "cosine_embedding_loss", "MarginRankingLoss": "margin_ranking_loss", "MultiMarginLoss": "multi_margin_loss", "TripletMarginLoss": "triplet_margin_loss", "CrossEntropyLoss": "cross_entropy", "NLLLoss": "nll_loss"}
    extra = {
        "SmoothL1Loss": [{"beta": 0.5}, {"beta": 0}], "HuberLoss": [{"delta": 0.3}], "PoissonNLLLoss": [{"log_input": False}, {"full": True}, {"eps": 0.1, "log_input": False}], "KLDivLoss": [{"reduction": "batchmean"}, {"log_target": True}],
        "HingeEmbeddingLoss": [{"margin": 0.4}], "CosineEmbeddingLoss": [{"margin": 0.4}], "MarginRankingLoss": [{"margin": 0.4}], "MultiMarginLoss": [{"p": 2}, {"margin": 0.3}, {"p": 3}, {"weight": T(5)}], "TripletMarginLoss": [{"margin": 0.4}, {"p": 1.0}, {"swap": True}, {"margin": 0}],
        "CrossEntropyLoss": [{"weight": T(5).abs()}, {"ignore_index": 2}, {"label_smoothing": 0.2}], "NLLLoss": [{"weight": T(5).abs()}, {"ignore_index": 2}], "BCELoss": [{"weight": T(5).abs()}, {"weight": T(4, 5).abs()}], "BCEWithLogitsLoss": [{"weight": T(5).abs()}, {"pos_weight": T(5).abs()}], "MultiLabelSoftMarginLoss": [{"weight": T(5)}],
    }
    for name, arguments in pairs.items():
        for k in reductions + ([] if name == "HuberLoss" else old) + extra.get(name, []):
            sample(name, C(**k), C(*arguments), C(*[a.to(torch.float64) if a.is_floating_point() else a for a in arguments][:0], *arguments))
            if name in functions:
                FUNCTIONS[functions[name]].append(C(*arguments, **{key: float(v) if type(v) is int and key in ("beta", "margin") else v for key, v in k.items()}))
    sample("CrossEntropyLoss", C(), C(T(2, 5, 3), T(2, 3, low=0, high=5, dtype=torch.long)), C(x, y.softmax(1)), C(T(5), torch.tensor(2)))
    FUNCTIONS["mse_loss"] += [C(x, y[0]), C(x, y, weight=T(4, 5)), C(x, y, weight=T(4, 5), reduction="sum"), C(x, y, weight=T(4, 5), reduction="none"), C(x, y, weight=T(5))]
    FUNCTIONS["l1_loss"] += [C(x, y[0]), C(x, y, weight=T(4, 5)), C(x, y, weight=T(4, 5), reduction="sum"), C(x, y, weight=T(4, 5), reduction="none"), C(x, y, weight=T(5))]
    FUNCTIONS["huber_loss"] += [C(x, y[0]), C(x, y, weight=T(4, 5)), C(x, y, weight=T(4, 5), reduction="sum", delta=0.3), C(x, y, weight=T(5))]
    FUNCTIONS["binary_cross_entropy"] += [C(x.sigmoid(), y.sigmoid()[0])]
    FUNCTIONS["binary_cross_entropy_with_logits"] += [C(x, y[0])]
    FUNCTIONS["margin_ranking_loss"] += [C(x, y, sign)]
    FUNCTIONS["multi_margin_loss"] += [C(x, torch.tensor([0, 4, 2, 1]), weight=T(5, 1))]
    lengths = torch.tensor([6, 5])
    ctc = (T(6, 2, 5).log_softmax(2), T(2, 3, low=1, high=5, dtype=torch.long), lengths, torch.tensor([3, 2]))
    for k in reductions + [{"blank": 4, "zero_infinity": True}]:
        sample("CTCLoss", C(**k), C(*ctc))
        FUNCTIONS["ctc_loss"].append(C(*ctc, **k))
    for k in reductions + [{"full": True}, {"eps": 0.5}]:
        sample("GaussianNLLLoss", C(**k), C(x, y, T(4, 5).abs()), C(x, y, T(4).abs()), C(x, y, T(4, 1).abs()), C(x, y, 0.5), C(x, y, -0.5), C(x, y, T(4, 5)), C(x, y, T(3).abs()))
        FUNCTIONS["gaussian_nll_loss"] += [C(x, y, T(4, 5).abs(), **k), C(x, y, 0.5, **k)]


def function_samples():
    F = FUNCTIONS
    for name in ("dropout", "alpha_dropout", "feature_alpha_dropout", "dropout1d", "dropout2d", "dropout3d"):
        F[name] += [C(X1, training=False), C(X2, 0.3, False, True), C(X2, 1.5), C(X3, 0.0, True), C(T(2, 3), 0.2, False)]
    for name in ("relu", "relu6", "elu", "selu", "celu", "leaky_relu", "rrelu", "hardtanh", "hardsigmoid", "hardswish", "silu", "mish"):
        F[name] += [C(X2), C(X2, inplace=True)]
    F["elu"].append(C(X2, 0.5))
    F["celu"].append(C(X2, 0.5, True))
    F["leaky_relu"].append(C(X2, 0.5, False))
    F["rrelu"].append(C(X2, 0.2, 0.6))
    F["hardtanh"] += [C(X2, -0.5, 0.5, True), C(X2, 1.0, 0.0)]
    for name in ("hardtanh_", "elu_", "selu_", "celu_", "leaky_relu_", "rrelu_"):
        F[name] += [C(X2)] + ([C(X2, 0.3)] if name not in ("hardtanh_", "selu_", "rrelu_") else [])
    F["threshold_"] += [C(X2, 0.1, 3.0)]
    F["threshold"] += [C(X2, 0.1, 3.0), C(X2, 0.1, 3.0, True)]
    F["glu"] += [C(X2), C(X2, 1), C(torch.tensor(1.0))]
    F["gelu"] += [C(X2), C(X2, approximate="tanh")]
    for name in ("tanhshrink", "softsign", "sigmoid", "tanh"):
        F[name].append(C(X2))
    for name in ("softmax", "softmin", "log_softmax"):
        F[name] += [C(X2), C(X1), C(T(3)), C(T(3, 3)), C(X2, -1), C(X2, dim=1, dtype=torch.float64)]
    index = T(3, 4, low=0, high=6, dtype=torch.long)
    F["embedding"] += [C(index, T(6, 5)), C(index, T(6, 5), 2), C(index, T(6, 5), -6), C(index, T(6, 5), 6), C(index, T(6, 5), -7), C(index, T(6, 5), None, 0.3), C(index.t(), T(6, 5), max_norm=0.3, norm_type=1.0)]
    F["embedding_bag"] += [C(index, T(6, 5)), C(index.reshape(-1), T(6, 5), torch.tensor([0, 5])), C(index, T(6, 5), mode="sum", per_sample_weights=T(3, 4)), C(index, T(6, 5), mode="max"), C(index, T(6, 5), mode="x"), C(index, T(6, 5, 1)), C(index[0], T(6, 5)), C(index, T(6, 5), mode="max", sparse=True), C(index, T(6, 5), mode="max", scale_grad_by_freq=True)]
    mean, var = T(4), T(4).abs() + 0.1
    F["batch_norm"] += [C(X2, mean, var), C(X2, mean, var, T(4), T(4), True, 0.2), C(X2, None, None, training=True), C(T(1, 4), None, None, training=True), C(X2, mean, var, eps=0.1)]
    F["instance_norm"] += [C(X2), C(X2, mean, var, use_input_stats=False), C(X2, None, None, T(4), T(4), eps=0.1), C(T(2, 4, 1))]
    F["layer_norm"] += [C(X2, [8]), C(X2, (7, 8), T(7, 8), T(7, 8), 0.1)]
    F["rms_norm"] += [C(X2, [8]), C(X2, (7, 8), T(7, 8), 0.1)]
    F["group_norm"] += [C(X2, 2), C(X2, 4, T(4), T(4), 0.1), C(T(4), 2), C(T(1, 4), 4)]
    F["local_response_norm"] += [C(X2, 3), C(X1, 2, 0.1, 0.5, 2.0), C(T(2, 2), 2)]
    F["normalize"] += [C(X2), C(X2, 1.0, -1, 0.5), C(X2, p=math.inf), C(torch.zeros(2, 2)), C(X2, out=torch.empty(X2.shape))]
    F["pad"] += [C(X2, [1, 2]), C(X2, (1, 2, 0, -1), "constant", 3.0), C(X2, [1, 1, 1, 1], "reflect"), C(X2, [1, 1, 1, 1], mode="circular"), C(X2, [1, 1], value=2.0)]
    F["pixel_shuffle"].append(C(X2, 2))
    F["pixel_unshuffle"].append(C(IMAGE, 2))
    F["channel_shuffle"].append(C(X2, 2))
    F["unfold"] += [C(X2, 2), C(X2, (2, 3), 2, (1, 0), 2)]
    F["fold"] += [C(T(1, 12, 12), (4, 5), 2), C(T(1, 8, 16), 6, 2, 1, 1, 2)]
    for n, x in ((1, X1), (2, X2), (3, X3)):
        F[f"avg_pool{n}d"] += [C(x, 2), C(x, 3, 1, 1, True, False), C(x, (2, 3, 2)[:n], stride=2)]
        for name in (f"max_pool{n}d", f"max_pool{n}d_with_indices"):
            F[name] += [C(x, 2), C(x, 3, 1, 1, 1, True), C(x, (2, 3, 2)[:n], stride=2)]
        F[f"adaptive_avg_pool{n}d"] += [C(x, 2), C(x, (2, 3, 2)[:n])]
        for name in (f"adaptive_max_pool{n}d", f"adaptive_max_pool{n}d_with_indices"):
            F[name] += [C(x, 2), C(x, (2, 3, 2)[:n])]
        F[f"lp_pool{n}d"] += [C(x.abs(), 2.0, 2), C(x.abs(), 3.0, 2, 1, True)] + ([C(x.abs(), 2.0, (2, 3, 2)[:n])] if n > 1 else [])
        pooled, where = getattr(nn.functional, f"max_pool{n}d")(x, 2, return_indices=True)
        F[f"max_unpool{n}d"] += [C(pooled, where, 2), C(pooled, where, 2, 2, 0, list(x.shape[2:])), C(pooled, where, 2, output_size=[99] * n)]
    F["avg_pool2d"].append(C(X2, 2, divisor_override=3))
    for mode in ("nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear", "lanczos", "wrong"):
        for k in ({"size": 5}, {"scale_factor": 2.0}, {"scale_factor": 1.7, "recompute_scale_factor": True}, {"size": 5, "recompute_scale_factor": True}, {"size": 5, "align_corners": True}, {"size": 5, "align_corners": False}, {"size": 3, "antialias": True}, {"scale_factor": 0.4, "antialias": True}, {}, {"size": 3, "scale_factor": 2.0}):
            F["interpolate"] += [C(x, mode=mode, **k) for x in (X1, X2, X3, T(2, 2))]
    F["interpolate"] += [C(X2, (3, 9)), C(X2, [3, 3, 3]), C(X2, scale_factor=(2.0, 1.5)), C(X2, scale_factor=[2.0, 1.0, 1.0])]
    F["upsample"] += [C(X2, 5), C(X2, scale_factor=2.0, mode="bilinear", align_corners=True)]
    F["upsample_nearest"] += [C(X2, 5), C(X2, scale_factor=2.0)]
    F["upsample_bilinear"] += [C(X2, (5, 6)), C(X2, scale_factor=2.0)]
    grid = T(2, 3, 3, 2, low=-1.2, high=1.2)
    for mode in ("bilinear", "nearest", "bicubic", "x"):
        for padding in ("zeros", "border", "reflection", "x"):
            F["grid_sample"] += [C(X2, grid, mode, padding), C(X2, grid, mode, padding, True)]
    F["grid_sample"].append(C(X3, T(2, 2, 2, 2, 3)))
    F["affine_grid"] += [C(T(2, 2, 3), [2, 1, 3, 4]), C(T(2, 2, 3), [2, 1, 3, 4], True), C(T(2, 3, 4), [2, 1, 3, 4, 2]), C(T(2, 2, 3), [2, 1, 3]), C(T(2, 3, 3), [2, 1, 3, 4]), C(T(2, 2, 3), [2, 1, 0, 4]), C(T(2, 2, 3, low=0, high=4, dtype=torch.long), [2, 1, 3, 4])]
    x = T(5, 2, 8)
    own = [x, x, x, 8, 2, T(24, 8), T(24), None, None, False, 0.0, T(8, 8), T(8)]
    F["multi_head_attention_forward"] += [C(*own[:7], None, T(1, 1, 8), *own[9:]), C(*own[:7], T(1, 1, 8), T(1, 1, 8), *own[9:], static_k=T(4, 7, 4)), C(*own, static_k=T(3, 7, 4)), C(*own, static_v=T(4, 7, 3)), C(*own, key_padding_mask=T(2, 6)), C(*own), C(*own, need_weights=False), C(*own, static_k=T(4, 7, 4), static_v=T(4, 7, 4)), C(*own[:3], 9, *own[4:]), C(*own[:4], 3, *own[5:]), C(*own, use_separate_proj_weight=True), C(*own[:7], T(1, 1, 8), *own[8:])]


def sequence_samples():
    S = SEQUENCES
    x, lengths = T(4, 3, 2), torch.tensor([4, 2, 1])
    packed = rnn.pack_padded_sequence(x, lengths)
    mixed = rnn.pack_padded_sequence(x, torch.tensor([2, 4, 1]), enforce_sorted=False)
    S["invert_permutation"] += [C(torch.tensor([2, 0, 1])), C(None)]
    S["pack_padded_sequence"] += [C(x, lengths), C(x, [4, 2, 1]), C(x, torch.tensor([2, 4, 1]), False, False), C(T(3, 4, 2), lengths, True), C(x, torch.tensor([2, 4, 1]))]
    S["pad_packed_sequence"] += [C(packed), C(mixed, True, 3.0), C(packed, total_length=6), C(packed, total_length=2)]
    S["pad_sequence"] += [C([T(2, 3), T(4, 3)]), C([T(2), T(4)], True, 2.0), C([T(2), T(4)], True, 2.0, "left")]
    S["unpad_sequence"] += [C(x, lengths), C(T(3, 4), lengths, True)]
    S["pack_sequence"] += [C([T(4, 2), T(2, 2)]), C([T(2, 2), T(4, 2)], False)]
    S["unpack_sequence"] += [C(packed), C(mixed)]


def check_packed(bundles):
    """Recurrent modules on packed sequences. PyTorch's LSTM does not check the sizes of states there."""
    wrong = []
    for python, units in bundles.items():
        for name in ("RNN", "GRU", "LSTM"):
            for k in ({}, {"num_layers": 2, "bidirectional": True}) + (({"proj_size": 2},) if name == "LSTM" else ()) + (({"nonlinearity": "relu"},) if name == "RNN" else ()):
                theirs, ours = getattr(nn, name)(2, 3, **k), getattr(units["nn"], name)(2, 3, **k)
                fill(theirs)
                ours.load_state_dict(theirs.state_dict())
                layers = k.get("num_layers", 1) * (2 if k.get("bidirectional") else 1)
                h, c = T(layers, 3, k.get("proj_size", 3)), T(layers, 3, 3, seed=2)
                own = units["utils_rnn"].PackedSequence
                call = ours.forward_packed
                if not python:
                    compiled = run(lambda: torch.jit.script(ours), [], {})
                    if isinstance(compiled, Exception):
                        wrong.append(f"{name} packed: {compiled}"[:1200])
                        continue
                    call = compiled.forward_packed
                for lengths in ([4, 2, 1], [2, 4, 1]):
                    p = rnn.pack_padded_sequence(T(4, 3, 2), torch.tensor(lengths), enforce_sorted=False)
                    q = rnn.pack_padded_sequence(T(4, 3, 2), torch.tensor([4, 2, 1]))
                    for s in (p, q):
                        for hx in (None, (h, c) if name == "LSTM" else h, (c[:, :2], c) if name == "LSTM" else h[:, :2]):
                            mine = own(*s)
                            got = run(call, [mine, hx], {})
                            wrong += compare(f"{name}{k} packed, {'Python' if python else 'scripted'}", run(theirs, [s, hx], {}), got, python and name != "LSTM")
    return wrong


def main():
    wanted = sys.argv[1:]
    for make in (linear_samples, convolution_samples, normalization_samples, activation_samples, pooling_samples, shape_samples, sparse_samples, recurrent_samples, attention_samples, container_samples, loss_samples, function_samples, sequence_samples):
        make()
    loaded = {python: load(python) for python in (True, False)}
    bundles, defined = {p: units for p, (units, _) in loaded.items()}, loaded[True][1]
    jobs = []
    for name in defined["nn"]:
        if hasattr(nn, name):
            jobs.append((name, [lambda s=s, name=name: check_class(name, {p: b for p, b in bundles.items() if p or name not in CONTAINERS}, s) for s in CLASSES[name]]))
    for name in defined["functional"]:
        if hasattr(nn.functional, name):
            jobs.append((name, [lambda c=c, name=name: check_function(name, getattr(nn.functional, name), bundles, "functional", c) for c in FUNCTIONS[name]]))
    for name in defined["utils_rnn"]:
        if name != "PackedSequence":
            jobs.append((name, [lambda c=c, name=name: check_function(name, getattr(rnn, name), bundles, "utils_rnn", c) for c in SEQUENCES[name]]))
    jobs.append(("PackedSequence", [lambda: check_packed(bundles)]))
    jobs.append(("generate_square_subsequent_mask", [lambda: compare("mask", nn.Transformer.generate_square_subsequent_mask(4), bundles[True]["nn"].generate_square_subsequent_mask(4))]))
    failed = 0
    for name, checks in jobs:
        if wanted and name not in wanted:
            continue
        wrong = [w for check in checks for w in check()]
        if not checks:
            wrong = ["no sample"]
        failed += bool(wrong)
        print(f"{name}: {len(checks)} samples" + (f", {len(wrong)} WRONG" if wrong else ""))
        for w in wrong[: 99 if wanted else 2]:
            print("  ", w)
    if not wanted:
        missing = [n for n in dir(nn) if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), nn.Module) and n not in defined["nn"] and not n.startswith("Lazy")]
        print("classes not covered:", *missing)
        own = set(defined["functional"]) | set(LEFT_OUT)
        print("functions not covered:", *[n for n in dir(nn.functional) if not n.startswith("_") and isinstance(getattr(nn.functional, n), (types.FunctionType, types.BuiltinFunctionType)) and n not in own])
    print(f"{failed} of {len(jobs)} failed" if failed else "all passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
