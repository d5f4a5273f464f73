"""Calls of operators that neither OpInfo nor the special values cover."""

import torch

N = None
F32, F64, F16, I64, I32, U8, BOOL = torch.float32, torch.float64, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool


def numbers(*shape, dtype=F32):
    """Different small numbers."""
    count = 1
    for size in shape:
        count *= size
    values = (torch.arange(count) * 7 % 23 - 9).reshape(shape)
    return (values / 4).to(dtype) if dtype.is_floating_point else values.abs().to(dtype) if dtype in (U8, BOOL) else values.to(dtype)


def make(dtype):
    """The trailing arguments of operators that make tensors."""
    return [dtype, N, N, N]


def convolutions():
    x1, w1 = numbers(1, 4, 6), numbers(6, 2, 3)
    x2, w2 = numbers(2, 1, 4, 3), numbers(2, 1, 2, 2)
    yield [x1, w1, numbers(6), [1], [0], [1], False, [0], 2]
    yield [x1, w1, N, [2], [2], [2], False, [0], 2]
    yield [x1.double(), w1.double(), N, [1], [1], [1], False, [0], 2]
    yield [x1.half(), w1.half(), numbers(6).half(), [1], [1], [1], False, [0], 2]
    yield [x1.long(), w1.long(), N, [1], [1], [1], False, [0], 2]
    yield [x2, w2, N, [1, 2], [0, 1], [2, 1], False, [0, 0], 1]
    yield [numbers(1, 1, 3, 3, 2), numbers(1, 1, 2, 2, 1), N, [1, 1, 1], [0, 0, 0], [1, 1, 1], False, [0, 0, 0], 1]
    yield [numbers(1, 4, 3), numbers(4, 1, 3), numbers(2), [2], [1], [1], True, [1], 2]
    yield [numbers(1, 2, 2, 3), numbers(2, 2, 2, 2), N, [2, 1], [0, 1], [1, 2], True, [0, 0], 1]
    yield [numbers(0, 4, 6), w1, N, [1], [0], [1], False, [0], 2]
    yield [x1, numbers(6, 3, 3), N, [1], [0], [1], False, [0], 2]
    yield [x1, numbers(6, 2, 9), N, [1], [0], [1], False, [0], 2]


def indexings():
    i, j = torch.tensor([2, 0, -1]), torch.tensor([[1], [-4]])
    yield [numbers(3, 4), [i]]
    yield [numbers(3, 4), [N, j]]
    yield [numbers(3, 4), [i, j]]
    yield [numbers(3, 2, 4), [i, N, j]]
    yield [numbers(3, 2, 4, dtype=I64), [N, torch.tensor(1), j]]
    yield [numbers(3, 4), [torch.tensor([3])]]
    yield [numbers(3, 4), [torch.tensor([2], dtype=I32)]]
    yield [numbers(3, 4), [i, i, i]]
    yield [numbers(3, 4), [torch.tensor([], dtype=I64)]]


def puts():
    i = torch.tensor([2, 0, 2])
    for accumulate in (False, True):
        yield [numbers(3, 2), [i[:2]], numbers(2), accumulate]
        yield [numbers(3, 2), [i, torch.tensor([1, 0, 1])], numbers(1), accumulate]
        yield [numbers(2, 3), [N, i[1:]], numbers(2, 2), accumulate]
    yield [numbers(3, dtype=I64), [i], numbers(3, dtype=I64), True]
    yield [numbers(3), [i], numbers(2), False]
    yield [numbers(3), [torch.tensor([3])], numbers(1), False]
    yield [numbers(3), [i], numbers(3).double(), False]
    yield [numbers(2, 3), [numbers(2, 3) > 0], numbers(), False]
    yield [numbers(2, 3), [torch.tensor([True, False])], numbers(3), False]
    yield [numbers(2, 3), [torch.tensor([True, True])], numbers(1, 3), True]
    yield [numbers(2, 3), [torch.tensor([True])], numbers(), False]


def searches():
    s = torch.tensor([1.0, 2.0, 2.0, 5.0])
    v = torch.tensor([[2.0, 0.0], [7.0, float("nan")]])
    for right in (False, True):
        yield [s, v, False, right, N, N]
        yield [s, v, True, False, "right" if right else "left", N]
    yield [torch.stack([s, s + 1]), v, False, False, N, N]
    yield [s.flip(0).contiguous(), v, False, False, N, torch.tensor([3, 2, 1, 0])]
    yield [s, v.double(), False, False, N, N]


def pools(axes, mean=False):
    shape = (1, 1, 5, 4, 3)[:2 + axes]
    x = numbers(*shape)
    extra = [[True], [False]] if mean else [[]]
    divisor = [N] if mean and axes > 1 else []
    for kernel, stride, padding, ceil in ((2, [], 0, False), (3, 2, 1, False), (2, 3, 1, True), (3, 2, 0, True), (1, 1, 0, False), (3, 1, 2, False)):
        for more in extra:
            stride = [stride] * axes if isinstance(stride, int) else stride
            dilation = [] if mean else [[1] * axes]
            yield [x, [kernel] * axes, stride, [padding] * axes, *dilation, ceil, *more, *divisor]
    if mean and axes > 1:
        yield [x, [2] * axes, [], [0] * axes, False, True, 3]
        yield [x, [2] * axes, [], [0] * axes, False, True, 0]
    yield [x[0].half(), [2] * axes, [], [0] * axes, *([] if mean else [[1] * axes]), False, *(extra[0]), *divisor]
    if not mean:
        yield [x, [2] * axes, [1] * axes, [1] * axes, [2] * axes, False]
        yield [x.long(), [2] * axes, [], [0] * axes, [1] * axes, False]
        x = x.clone()
        x.view(-1)[4] = float("nan")
        yield [x, [2] * axes, [1] * axes, [0] * axes, [1] * axes, False]


def adaptive(axes):
    x = numbers(*(1, 1, 5, 4, 3)[:2 + axes])
    for size in (1, 2, 3):
        yield [x, [size] * axes]
    yield [x[0].double(), [2] * axes]
    yield [numbers(1, 2, *[4] * axes) if axes < 3 else x, [2] * axes]


def resizes(axes, aligned=False, vec=False):
    x = numbers(*(1, 1, 3, 4, 2)[:2 + axes])
    for size in (2, 5, 6, 8):
        for align in ([[True], [False]] if aligned else [[]]):
            yield [x, [size] * axes, *align, *([N] if vec else [N] * axes)]
    align = [False] if aligned else []
    for factor in (2.0, 1.7, 0.5):
        if vec:
            yield [x, N, *align, [factor] * axes]
        else:
            yield [x, [int(n * factor) or 1 for n in x.shape[2:]], *align, *[factor] * axes]
    yield [x.double(), [5] * axes, *align, *([N] if vec else [N] * axes)]
    yield [x.half(), [5] * axes, *align, *([N] if vec else [N] * axes)]
    yield [x[0], [5] * axes, *align, *([N] if vec else [N] * axes)]


def grids(axes):
    x = numbers(1, 1, *(3, 4, 2)[:axes])
    grid = torch.tensor([-1.0, -0.6, 0.1, 0.55, 1.0, 1.4, -1.7, 0.9, -0.2, 0.33, 2.5, -3.1])
    grid = grid.reshape(1, 2, 3, 2) if axes == 2 else grid.reshape(1, 1, 2, 2, 3)
    for mode in (0, 1, 2)[:5 - axes]:
        for border in (0, 1, 2):
            for align in (False, True):
                yield [x, grid, mode, border, align]
    yield [x.double(), grid.double(), 0, 0, False]
    for dtype in (torch.float16, torch.bfloat16):
        for mode in range(3 if axes == 2 else 2):
            for border in range(3):
                yield [x.to(dtype), grid.to(dtype), mode, border, mode == border]
    yield [x, torch.full_like(grid, float("nan")), 0, 1, False]
    yield [x, torch.full_like(grid, float("nan")), 0, 0, False]
    yield [x, grid.double(), 0, 0, False]


def columns():
    yield [numbers(1, 2, 4, 3), [2, 2], [1, 1], [0, 0], [1, 1]]
    yield [numbers(2, 4, 3), [2, 1], [1, 1], [1, 0], [2, 1]]
    yield [numbers(1, 1, 5, 5), [2, 2], [2, 2], [1, 1], [2, 2]]


def images():
    yield [numbers(1, 8, 6), [4, 3], [2, 2], [1, 1], [0, 0], [1, 1]]
    yield [numbers(4, 9), [5, 5], [2, 2], [2, 2], [1, 1], [2, 2]]


def scans():
    """Calls (self, dim) with ties, NaN and no elements."""
    x = torch.tensor([[3.0, float("nan"), 1.0, 3.0], [2.0, 2.0, -0.0, 0.0]])
    return [[x, 0], [x, -1], [x.double(), 1], [x.half(), 1], [x.nan_to_num().long(), 1], [numbers(2, 3, 2), 1], [numbers(0, 3), 0], [numbers(), 0], [x, 2]]


BY_HAND = {
    **{f"aten::max_pool{n}d": lambda n=n: pools(n) for n in (1, 2, 3)},
    **{f"aten::max_pool{n}d_with_indices": lambda n=n: pools(n) for n in (1, 2, 3)},
    **{f"aten::avg_pool{n}d": lambda n=n: pools(n, True) for n in (1, 2, 3)},
    **{f"aten::adaptive_{k}_pool{n}d": lambda n=n: adaptive(n) for n in (1, 2, 3) for k in ("avg", "max")},
    **{f"aten::_adaptive_avg_pool{n}d": lambda n=n: adaptive(n) for n in (2, 3)},
    **{f"aten::{k}{n}d{v}": lambda n=n, v=v: resizes(n, vec=bool(v)) for n in (1, 2, 3) for k in ("upsample_nearest", "_upsample_nearest_exact") for v in ("", ".vec")},
    **{f"aten::upsample_{k}{n}d{v}": lambda n=n, v=v: resizes(n, True, bool(v)) for k, n in (("linear", 1), ("bilinear", 2), ("trilinear", 3), ("bicubic", 2)) for v in ("", ".vec")},
    "aten::sort.stable": lambda: [[x, True, d, r] for x, d in scans() for r in (False, True)],
    "aten::movedim.int": lambda: [[numbers(2, 3, 4), 0, 2], [numbers(2, 3, 4), -1, 0], [numbers(2), 1, 0], [numbers(), 0, 0]],
    "aten::moveaxis.int": lambda: [[numbers(2, 3), 0, 1]],
    "aten::numpy_T": lambda: [[numbers(2, 3)], [numbers(2, 3, 4)], [numbers()]],
    "aten::matrix_H": lambda: [[numbers(2, 3)], [numbers()], [numbers(2)]],
    "aten::channel_shuffle": lambda: [[numbers(1, 6, 2), 2], [numbers(1, 6, 2, 2), 3], [numbers(1, 5, 2), 2]],
    "aten::native_channel_shuffle": lambda: [[numbers(1, 6, 2, 2), 3]],
    "aten::_pad_enum": lambda: [[numbers(1, 2, 4), [1, 2], m, N] for m in (0, 1, 2, 3)],
    **{f"aten::{k}.dim": lambda: [[numbers(2, 3), d, u, True] for d in ([1], [0, 1], N) for u in (False, True)] for k in ("var", "std", "var_mean", "std_mean")},
    "aten::norm.ScalarOpt_dtype": lambda: [[numbers(2, 3), p, F64] for p in (N, 1, 3.0)],
    "aten::norm.ScalarOpt_dim_dtype": lambda: [[numbers(2, 3), p, [1], False, F64] for p in (N, 1, 3.0)],
    "aten::frobenius_norm.dim": lambda: [[numbers(2, 3), d, k] for d in ([1], [0, 1]) for k in (False, True)],
    "aten::cdist": lambda: [[numbers(3, 2), numbers(2, 2), p, N] for p in (0.0, 1.0, 2.0, 3.0, float("inf"))] + [[numbers(2, 3, 2), numbers(1, 2, 2), 2.0, N], [numbers(3, 2), numbers(2, 3), 2.0, N]],
    "aten::_cdist_forward": lambda: [[numbers(3, 2), numbers(2, 2), 2.0, N]],
    "aten::_pdist_forward": lambda: [[numbers(3, 2), 2.0], [numbers(3, 2), 1.0]],
    "aten::einsum": lambda: [[t, [numbers(*s) for s in shapes], N] for t, shapes in (
        ("ij,jk->ik", ((2, 3), (3, 2))), ("ij,jk", ((2, 3), (3, 2))), ("bij,bjk->bik", ((2, 2, 3), (2, 3, 2))), ("ii->i", ((3, 3),)), ("ii", ((3, 3),)),
        ("ij->ji", ((2, 3),)), ("...ij,...jk->...ik", ((2, 2, 3), (3, 2))), ("i,j->ij", ((2,), (3,))), ("ij,ij,i->", ((2, 3), (2, 3), (2,))),
        ("...a,...a", ((2, 3), (3,))), ("ba , ca", ((2, 3), (1, 3))), ("ij,jk->iz", ((2, 3), (3, 2))), ("ij", ((2, 3, 4),)), ("ij,jk", ((2, 3),)))]
        + [["ij,jk->ik", [numbers(2, 3, dtype=d), numbers(3, 2, dtype=d)], N] for d in (F64, I64, F16)],
    **{f"aten::_upsample_{k}2d_aa{v}": lambda v=v: resizes(2, True, bool(v)) for k in ("bilinear", "bicubic") for v in ("", ".vec")},
    **{f"aten::fft_{k}": lambda: [[numbers(2, 5, dtype=d), n, a, m] for d in (F32, F64, I64) for n, a, m in ((N, -1, N), (5, 0, "ortho"), (7, 1, "forward"), (4, -1, "backward"))] for k in ("hfft", "irfft")},
    **{f"aten::fft_{k}": lambda: [[numbers(2, 3, 4), s, a, m] for s, a, m in ((N, [-2, -1], N), ([3, 5], [0, 2], "ortho"), ([2, 2], [1, 0], "forward"))] for k in ("hfft2", "irfft2")},
    **{f"aten::fft_{k}": lambda: [[numbers(2, 3, 3), s, a, m] for s, a, m in ((N, N, N), ([3, 5], N, "ortho"), ([4], [1], "forward"))] for k in ("hfftn", "irfftn")},
    **{f"aten::{k}_window": lambda: [[n, *make(N)] for n in (0, 1, 2, 5)] for k in ("hann", "hamming", "blackman", "bartlett")},
    **{f"aten::{k}_window.periodic": lambda: [[n, p, *make(d)] for n in (0, 1, 5) for p in (False, True) for d in (N, F64)] for k in ("hann", "hamming", "blackman", "bartlett")},
    "aten::hamming_window.periodic_alpha": lambda: [[5, False, 0.6, *make(N)]],
    "aten::hamming_window.periodic_alpha_beta": lambda: [[5, True, 0.6, 0.3, *make(N)]],
    "aten::fft_fftfreq": lambda: [[n, 0.5, *make(N)] for n in (4, 5)],
    "aten::fft_rfftfreq": lambda: [[n, 0.5, *make(N)] for n in (4, 5)],
    "aten::max_unpool2d": lambda: [[numbers(1, 2, 2, 2), torch.tensor([0, 3, 9, 15, 1, 2, 4, 5]).reshape(1, 2, 2, 2), [4, 4]], [numbers(1, 2, 2), torch.tensor([0, 3, 9, 15]).reshape(1, 2, 2), [4, 4]]],
    "aten::max_unpool3d": lambda: [[numbers(1, 1, 1, 2, 2), torch.tensor([0, 3, 9, 15]).reshape(1, 1, 1, 2, 2), [2, 4, 4], [2, 2, 2], [0, 0, 0]]],
    "aten::max_pool2d_with_indices_backward": lambda: [[numbers(1, 1, 2, 2), numbers(1, 1, 4, 4), [2, 2], [2, 2], [0, 0], [1, 1], False, torch.tensor([0, 3, 9, 15]).reshape(1, 1, 2, 2)]],
    "aten::float_power.Tensor_Scalar": lambda: [[numbers(5).abs(), 1.5], [numbers(5, dtype=I64), 2]],
    "aten::float_power.Scalar": lambda: [[2.5, numbers(5)]],
    "aten::special_legendre_polynomial_p.n_scalar": lambda: [[numbers(4), n] for n in (0, 1, 4)],
    "aten::special_hermite_polynomial_h.x_scalar": lambda: [[0.4, torch.tensor([0, 1, 2, 5, -1])]],
    "aten::as_strided": lambda: [[numbers(3, 4), [2, 2], [4, 2], N], [numbers(12), [2, 3, 2], [1, 2, 3], 1], [numbers(3, 4), [2], [0], 5], [numbers(3, 4), [], [], 11],
                                 [numbers(3, 4), [2, 2], [11, 1], N], [numbers(3, 4), [2, 2], [1], N], [numbers(3, 4), [0, 2], [50, 1], 3]],
    "aten::bmm": lambda: [[numbers(2, 2, 3, dtype=d), numbers(2, 3, 2, dtype=d)] for d in (F32, F64, F16, I64)] + [[numbers(2, 2, 3), numbers(1, 3, 2)], [numbers(2, 3), numbers(3, 2)]],
    "aten::grid_sampler_2d": lambda: grids(2),
    "aten::grid_sampler_3d": lambda: grids(3),
    "aten::grid_sampler": lambda: [*grids(2)][:3] + [*grids(3)][:3],
    "aten::im2col": columns,
    "aten::col2im": images,
    "aten::div.Scalar_mode": lambda: [[numbers(6), 0.75, m] for m in ("floor", "trunc", N)] + [[numbers(6, dtype=I64), -3, "floor"]],
    "aten::divide.Scalar_mode": lambda: [[numbers(6), 0.75, "floor"]],
    "aten::zeros": lambda: [[[2, 3], *make(N)], [[0], *make(I64)], [[], *make(F16)], [[-1], *make(N)]],
    "aten::ones": lambda: [[[2, 3], *make(N)], [[2], *make(BOOL)], [[2], *make(torch.bfloat16)]],
    "aten::full": lambda: [[[2], 3, *make(N)], [[2], 2.5, *make(N)], [[2], True, *make(N)], [[2], 2.5, *make(F64)], [[], 7, *make(F32)]],
    "aten::eye": lambda: [[3, *make(N)], [0, *make(I64)], [-1, *make(N)]],
    "aten::eye.m": lambda: [[2, 3, *make(N)], [3, 1, *make(I64)]],
    "aten::arange": lambda: [[5, *make(N)], [2.5, *make(N)], [3, *make(F16)], [0, *make(N)], [-1, *make(N)]],
    "aten::arange.start": lambda: [[2, 6, *make(N)], [0.1, 3.05, *make(N)], [2, 5, *make(F64)], [5, 2, *make(N)]],
    "aten::arange.start_step": lambda: [[5, -4, -3, *make(N)], [0.0, 1.0, 0.1, *make(N)], [0, 1, 0.3, *make(torch.bfloat16)], [0, 5, 0, *make(N)]],
    "aten::linspace": lambda: [[0.1, 2.3, 7, *make(N)], [5, -5, 4, *make(F64)], [0, 10, 4, *make(I64)], [3, 4, 1, *make(N)], [3, 4, 0, *make(N)],
                               [0, 1, 6, *make(F16)], [0, 1, -1, *make(N)]],
    "aten::logspace": lambda: [[0.1, 2.3, 5, 10.0, *make(N)], [1, -1, 4, 2.0, *make(F64)]],
    "aten::tril_indices": lambda: [[3, 4, o, *make(I64)] for o in (0, 1, -1, 5, -3)] + [[0, 2, 0, *make(I32)], [2, 5, 1, *make(N)]],
    "aten::triu_indices": lambda: [[3, 4, o, *make(I64)] for o in (0, 1, -1, 5, -3)] + [[0, 2, 0, *make(I32)], [5, 2, -2, *make(N)]],
    "aten::scalar_tensor": lambda: [[3, *make(N)], [2.5, *make(F64)], [True, *make(I32)]],
    "aten::empty.memory_format": lambda: [[[2, 3], *make(N), N], [[0], *make(I64), N], [[-2], *make(N), N]],
    "aten::empty_strided": lambda: [[[2, 3], [3, 1], *make(N)]],
    "aten::empty_permuted": lambda: [[[2, 3], [0, 1], *make(I64)]],
    "aten::tril": lambda: [[numbers(3, 4), d] for d in (0, 1, -1)] + [[numbers(2, 2, 2, dtype=I64), 0], [numbers(2, 2, dtype=BOOL), 0], [numbers(3), 0]],
    "aten::triu": lambda: [[numbers(3, 4), d] for d in (0, 1, -1)] + [[numbers(2, 2, 2, dtype=I64), 0], [numbers(2, 2, dtype=BOOL), 0], [numbers(3), 0]],
    "aten::gelu": lambda: [[numbers(6, dtype=d), "none"] for d in (F32, F64, F16, I64)] + [[numbers(6), "tanh"], [numbers(2), "x"]],
    "aten::special_zeta.other_scalar": lambda: [[numbers(6).abs() + 1.5, 2.5], [numbers(6).abs().double() + 1.5, 2]],
    "aten::special_zeta.self_scalar": lambda: [[2.5, numbers(6).abs() + 0.5], [3, numbers(6).abs().double() + 0.5]],
    "aten::one_hot": lambda: [[torch.tensor([1, 0, 2]), 3], [torch.tensor([[1], [0]]), 4], [torch.tensor([1, 3]), 3], [torch.tensor([-1]), 3], [torch.tensor(1), 2]],
    "aten::index.Tensor": indexings,
    "aten::_unsafe_index.Tensor": lambda: [[numbers(3, 4), [torch.tensor([2, 0])]]],
    "aten::index.Tensor_hacked_twin": lambda: [[numbers(3, 4), [torch.tensor([2, 0]), torch.tensor([1, -1])]]],
    "aten::_unsafe_index.Tensor_hacked_twin": lambda: [[numbers(3, 4), [torch.tensor([2, 0]), torch.tensor([1, 2])]]],
    "aten::index_put": puts,
    "aten::_index_put_impl": lambda: [[numbers(3, 4), [torch.tensor([2, 0])], numbers(4), True, False]],
    "aten::_unsafe_index_put": lambda: [[numbers(3, 4), [torch.tensor([2, 0])], numbers(4), False]],
    "aten::index_put.hacked_twin": lambda: [[numbers(3, 4), [torch.tensor([2, 0])], numbers(4), False]],
    "aten::_unsafe_index_put.hacked_twin": lambda: [[numbers(3, 4), [torch.tensor([2, 0])], numbers(4), False]],
    "aten::scatter.src": lambda: [[numbers(3, 4), 0, torch.tensor([[0, 2, 1], [2, 0, 0]]), numbers(2, 5)], [numbers(3), 0, torch.tensor([3]), numbers(1)],
                                  [numbers(3), 0, torch.tensor([-1]), numbers(1)], [numbers(), 0, torch.tensor(0), numbers(2)[1]], [numbers(2), 0, torch.tensor([0]), numbers(1).double()]],
    "aten::scatter.value": lambda: [[numbers(3, 4), 1, torch.tensor([[0, 3], [2, 0]]), 2.5], [numbers(3, dtype=I64), 0, torch.tensor([1]), 7]],
    "aten::scatter_add": lambda: [[numbers(3, dtype=d), 0, torch.tensor([1, 1, 0, 1]), numbers(4, dtype=d)] for d in (F32, F64, F16, I64, U8, BOOL)],
    "aten::index_copy": lambda: [[numbers(3, 2), 0, torch.tensor([2, 0]), numbers(2, 2)], [numbers(3, 2), 0, torch.tensor([3]), numbers(1, 2)]],
    "aten::index_add": lambda: [[numbers(3, 2, dtype=d), 0, torch.tensor([2, 2]), numbers(2, 2, dtype=d), 2] for d in (F32, F64, I64, F16)] + [[numbers(3), 0, torch.tensor([-1]), numbers(1), 1]],
    "aten::take": lambda: [[numbers(2, 3), torch.tensor([[5, -1], [0, -6]])], [numbers(2, 3), torch.tensor([6])], [numbers(2, 3, dtype=I64), torch.tensor(2)]],
    "aten::searchsorted.Tensor": searches,
    "aten::searchsorted.Scalar": lambda: [[torch.tensor([1.0, 2.0, 2.0, 5.0]), v, False, r, N, N] for v in (2, 0.5, 9.0) for r in (False, True)],
    "aten::bucketize.Tensor": lambda: [[numbers(2, 3), torch.tensor([-1.0, 0.0, 0.5]), i, r] for i in (False, True) for r in (False, True)]
                              + [[torch.tensor([3, 1, 9]), torch.tensor([1, 3, 5]), False, False]],
    "aten::bucketize.Scalar": lambda: [[2, torch.tensor([1, 2, 3]), False, True]],
    "aten::convolution": convolutions,
    "aten::stack": lambda: [[[numbers(2, 2), numbers(2, 2).long()], d] for d in (0, 1, -1, 3)] + [[[numbers()], 0], [[numbers(0)], 0]],
    "aten::cat": lambda: [[[numbers(2, 1), numbers(2, 2).long()], 1], [[numbers(0), numbers(2, 2)], 0], [[numbers(2), numbers(2, 2)], 0], [[], 0],
                          [[numbers(1, 2), numbers(1, 3)], 0], [[numbers(0, 2), numbers(3, 2)], 0]],
    "aten::_pad_circular": lambda: [[numbers(1, 2, 4), [1, 2]], [numbers(1, 1, 3, 3), [1, 0, 2, 3]], [numbers(1, 2, 4), [5, 0]]],
    "aten::reflection_pad1d": lambda: [[numbers(2, 4), [1, 3]], [numbers(2, 4), [-1, 2]], [numbers(2, 4), [4, 0]]],
    "aten::reflection_pad2d": lambda: [[numbers(1, 3, 3), [1, 2, 2, 0]], [numbers(1, 1, 3, 3).double(), [0, 0, 1, 1]]],
    "aten::reflection_pad3d": lambda: [[numbers(1, 2, 2, 3), [1, 0, 0, 1, 1, 0]]],
    "aten::replication_pad1d": lambda: [[numbers(2, 4), [1, 5]], [numbers(2, 4), [-1, 2]]],
    "aten::replication_pad2d": lambda: [[numbers(1, 3, 3), [1, 2, 2, 0]]],
    "aten::replication_pad3d": lambda: [[numbers(1, 2, 2, 3), [1, 0, 0, 1, 1, 0]]],
    "aten::slice.Tensor": lambda: [[numbers(5, 2), 0, a, b, s] for a, b, s in ((1, 4, 2), (-2, N, 1), (N, -1, 1), (4, 1, 1), (9, 99, 3), (0, 9223372036854775807, 2))]
                          + [[numbers(5), 0, 0, 1, 0], [numbers(), 0, 0, 1, 1]],
    "aten::view": lambda: [[numbers(2, 6), s] for s in ([12], [3, 4], [2, -1, 3], [4, -1], [5, -1], [-1, -1], [1, 2, 1, 6, 1])] + [[numbers(0, 3), [3, 0]], [numbers(0, 3), [0, -1]]],
    "aten::reshape": lambda: [[numbers(2, 6), [4, 3]], [numbers(2, 3, 4), [6, 4]], [numbers(2, 3, 4), [2, 12]], [numbers(2, 3, 4), [4, 3, 2]], [numbers(), [1, 1]]],
    "aten::_unsafe_view": lambda: [[numbers(2, 6), [4, 3]]],
    "aten::t": lambda: [[numbers(2, 3)], [numbers(3)], [numbers()], [numbers(1, 2, 3)]],
    "aten::prelu": lambda: [[numbers(2, 3), numbers(3)], [numbers(2, 3, 2), numbers(1)], [numbers(4), numbers()], [numbers(2, 3), numbers(2)]],
    "aten::_prelu_kernel": lambda: [[numbers(2, 3), numbers(1, 3)], [numbers(2, 3).half(), numbers(1, 3).half()]],
    "aten::fill.Tensor": lambda: [[numbers(2, 2), numbers()], [numbers(2, 2).long(), numbers()], [numbers(2), numbers(2)]],
}
ONLY_BY_HAND = {"aten::arange", "aten::arange.start", "aten::arange.start_step", "aten::linspace", "aten::logspace", "aten::zeros", "aten::ones",
                "aten::full", "aten::eye", "aten::eye.m", "aten::tril_indices", "aten::triu_indices", "aten::scalar_tensor"}
