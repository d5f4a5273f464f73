"""torch.nn.functional: the functions that are not simply an operator of the same arguments.

A pooling function with `return_indices` returns the pooled values alone. Its namesake `..._with_indices` returns both: that is what a call with `return_indices=True` means.
"""

import math
import torch
from torch import Tensor
from typing import List, Optional, Tuple, Union
from torch._jit_internal import BroadcastingList1, BroadcastingList2, BroadcastingList3


# Dropout


def check_probability(p: float) -> None:
    """A probability is between 0 and 1."""
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes elements at random."""
    check_probability(p)
    return torch.dropout_(input, p, training) if inplace else torch.dropout(input, p, training)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean and variance."""
    check_probability(p)
    return torch.alpha_dropout_(input, p, training) if inplace else torch.alpha_dropout(input, p, training)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout of whole channels that keeps mean and variance."""
    check_probability(p)
    return torch.feature_alpha_dropout_(input, p, training) if inplace else torch.feature_alpha_dropout(input, p, training)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes channels of a [batch, channels, length] or [channels, length] tensor at random."""
    check_probability(p)
    dims = input.dim()
    if dims != 2 and dims != 3:
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {dims}D input. Note that dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs).")
    batch = input if dims == 3 else (input.unsqueeze_(0) if inplace else input.unsqueeze(0))
    result = torch.feature_dropout_(batch, p, training) if inplace else torch.feature_dropout(batch, p, training)
    if dims == 2:
        result = result.squeeze_(0) if inplace else result.squeeze(0)
    return result


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes channels (axis 1) at random."""
    check_probability(p)
    return torch.feature_dropout_(input, p, training) if inplace else torch.feature_dropout(input, p, training)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes channels of a [batch, channels, depth, height, width] or [channels, depth, height, width] tensor at random."""
    check_probability(p)
    batched = input.dim() == 5
    batch = input if batched else (input.unsqueeze_(0) if inplace else input.unsqueeze(0))
    result = torch.feature_dropout_(batch, p, training) if inplace else torch.feature_dropout(batch, p, training)
    if not batched:
        result = result.squeeze_(0) if inplace else result.squeeze(0)
    return result


# Activations


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, value elsewhere"""
    return torch.threshold_(input, threshold, value) if inplace else torch.threshold(input, threshold, value)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)"""
    return torch.relu_(input) if inplace else torch.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)"""
    return torch._C._nn.relu6_(input) if inplace else torch._C._nn.relu6(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), with a and b the halves of the input"""
    if input.dim() == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    return torch._C._nn.glu(input, dim)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x clamped to a range"""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return torch._C._nn.hardtanh_(input, min_val, max_val) if inplace else torch._C._nn.hardtanh(input, min_val, max_val)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, alpha * (exp(x) - 1) elsewhere"""
    return torch._C._nn.elu_(input, alpha) if inplace else torch._C._nn.elu(input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The scaled elu"""
    return torch.selu_(input) if inplace else torch.selu(input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))"""
    return torch.celu_(input, alpha) if inplace else torch.celu(input, alpha)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, negative_slope * x elsewhere"""
    return torch._C._nn.leaky_relu_(input, negative_slope) if inplace else torch._C._nn.leaky_relu(input, negative_slope)


def rrelu(input: Tensor, lower: float = 0.125, upper: float = 0.3333333333333333, training: bool = False, inplace: bool = False) -> Tensor:
    """leaky_relu with a random slope, the middle of the range when not training"""
    return torch.rrelu_(input, lower, upper, training) if inplace else torch.rrelu(input, lower, upper, training)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x"""
    return torch._C._nn.gelu(input, approximate=approximate)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """threshold in place"""
    return torch.threshold_(input, threshold, value)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """hardtanh in place"""
    return torch._C._nn.hardtanh_(input, min_val, max_val)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """elu in place"""
    return torch._C._nn.elu_(input, alpha)


def selu_(input: Tensor) -> Tensor:
    """selu in place"""
    return torch.selu_(input)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """celu in place"""
    return torch.celu_(input, alpha)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """leaky_relu in place"""
    return torch._C._nn.leaky_relu_(input, negative_slope)


def rrelu_(input: Tensor, lower: float = 0.125, upper: float = 0.3333333333333333, training: bool = False) -> Tensor:
    """rrelu in place"""
    return torch.rrelu_(input, lower, upper, training)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)"""
    return input - input.tanh()


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return input / (input.abs() + 1)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(x + 3) / 6"""
    return torch._C._nn.hardsigmoid_(input) if inplace else torch._C._nn.hardsigmoid(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x)"""
    return torch._C._nn.hardswish_(input) if inplace else torch._C._nn.hardswish(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x)"""
    return torch._C._nn.silu_(input) if inplace else torch._C._nn.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x))"""
    return torch._C._nn.mish_(input) if inplace else torch._C._nn.mish(input)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x))"""
    return torch.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent"""
    return torch.tanh(input)


def implied_softmax_dim(dims: int) -> int:
    """The axis of a softmax that names none."""
    return 0 if dims == 0 or dims == 1 or dims == 3 else 1


def softmax(input: Tensor, dim: Optional[int] = None, _stacklevel: int = 3, dtype: Optional[int] = None) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis"""
    return torch.softmax(input, implied_softmax_dim(input.dim()) if dim is None else dim, dtype)


def softmin(input: Tensor, dim: Optional[int] = None, _stacklevel: int = 3, dtype: Optional[int] = None) -> Tensor:
    """softmax(-x)"""
    return torch.softmax(-input, implied_softmax_dim(input.dim()) if dim is None else dim, dtype)


def log_softmax(input: Tensor, dim: Optional[int] = None, _stacklevel: int = 3, dtype: Optional[int] = None) -> Tensor:
    """log(softmax(x))"""
    return torch.log_softmax(input, implied_softmax_dim(input.dim()) if dim is None else dim, dtype)


# Embeddings


def embedding(input: Tensor, weight: Tensor, padding_idx: Optional[int] = None, max_norm: Optional[float] = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """The rows of a table."""
    padding = -1
    if padding_idx is not None:
        assert padding_idx < weight.size(0) and padding_idx >= -weight.size(0), "Padding_idx must be within num_embeddings"
        padding = padding_idx if padding_idx >= 0 else weight.size(0) + padding_idx
    if max_norm is not None:
        input = input.contiguous()
        torch.embedding_renorm_(weight.detach(), input, max_norm, norm_type)
    return torch.embedding(weight, input, padding, scale_grad_by_freq, sparse)


def embedding_bag(input: Tensor, weight: Tensor, offsets: Optional[Tensor] = None, max_norm: Optional[float] = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Optional[Tensor] = None, include_last_offset: bool = False, padding_idx: Optional[int] = None) -> Tensor:
    """Sums, means or maxima of bags of rows of a table."""
    if per_sample_weights is not None and input.size() != per_sample_weights.size():
        raise ValueError(f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the same shape as the input ({input.shape})")
    if not weight.dim() == 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}")
    indices = input
    scales = per_sample_weights
    starts = offsets
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError("if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. However, found offsets of type {}".format("<class 'torch.Tensor'>"))
        starts = torch.arange(0, input.numel(), input.size(1), dtype=input.dtype, device=input.device)
        indices = input.reshape(-1)
        if per_sample_weights is not None:
            scales = per_sample_weights.reshape(-1)
    elif input.dim() == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets.dim() != 1:
            raise ValueError("offsets has to be a 1D Tensor")
    else:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    assert starts is not None
    if mode == "sum":
        number = 0
    elif mode == "mean":
        number = 1
    elif mode == "max":
        number = 2
        if scale_grad_by_freq:
            raise ValueError("max mode does not support scaling the gradient by the frequency")
        if sparse:
            raise ValueError("max mode does not support sparse weights")
    else:
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='{mode}'). Please open a feature request on GitHub.")
    if max_norm is not None:
        torch.embedding_renorm_(weight.detach(), indices, max_norm, norm_type)
    return torch.embedding_bag(weight, indices, starts, scale_grad_by_freq, number, sparse, scales, include_last_offset, padding_idx)[0]


# Normalization


def check_statistics(count: int, what: str, size: List[int]) -> None:
    """Statistics of one value make no sense."""
    if count == 1:
        raise ValueError(f"Expected more than 1 {what} when training, got input size {size}")


def product_of(sizes: List[int]) -> int:
    """The product of integers"""
    product = 1
    for size in sizes:
        product *= size
    return product


def batch_norm(input: Tensor, running_mean: Optional[Tensor], running_var: Optional[Tensor], weight: Optional[Tensor] = None, bias: Optional[Tensor] = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-05) -> Tensor:
    """Normalizes each channel by the statistics of the batch, or by the running ones."""
    if training:
        check_statistics(input.size(0) * product_of(input.shape[2:]), "value per channel", input.shape)
    return torch.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, True)


def instance_norm(input: Tensor, running_mean: Optional[Tensor] = None, running_var: Optional[Tensor] = None, weight: Optional[Tensor] = None, bias: Optional[Tensor] = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-05) -> Tensor:
    """Normalizes each channel of each element of the batch."""
    if use_input_stats:
        check_statistics(product_of(input.shape[2:]), "spatial element", input.shape)
    return torch.instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, True)


def layer_norm(input: Tensor, normalized_shape: List[int], weight: Optional[Tensor] = None, bias: Optional[Tensor] = None, eps: float = 1e-05) -> Tensor:
    """Normalizes over the last axes."""
    return torch.layer_norm(input, normalized_shape, weight, bias, eps)


def rms_norm(input: Tensor, normalized_shape: List[int], weight: Optional[Tensor] = None, eps: Optional[float] = None) -> Tensor:
    """Divides by the root of the mean square over the last axes."""
    return torch.rms_norm(input, normalized_shape, weight, eps)


def group_norm(input: Tensor, num_groups: int, weight: Optional[Tensor] = None, bias: Optional[Tensor] = None, eps: float = 1e-05) -> Tensor:
    """Normalizes groups of channels."""
    if input.dim() < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.dim()}")
    first = input.size(0) * input.size(1) // num_groups
    check_statistics(first * product_of(input.shape[2:]), "value per channel", [first, num_groups] + input.shape[2:])
    return torch.group_norm(input, num_groups, weight, bias, eps)


def local_response_norm(input: Tensor, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha * (mean of x² over neighbouring channels)) ** beta"""
    if input.dim() < 3:
        raise ValueError(f"Expected 3D or higher dimensionality                          input (got {input.dim()} dimensions)")
    if input.numel() == 0:
        return input
    squares = (input * input).reshape([input.size(0), 1, input.size(1), -1])
    padded = torch._C._nn.pad(squares, [0, 0, size // 2, (size - 1) // 2])
    means = torch._C._nn.avg_pool2d(padded, [size, 1], [1, 1]).reshape(input.shape)
    return input / (means * alpha + k).pow(beta)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Optional[Tensor] = None) -> Tensor:
    """x divided by its norm along an axis"""
    length = torch.norm(input, p, [dim], True).clamp_min(eps).expand_as(input)
    if out is None:
        return input / length
    return torch.div(input, length, out=out)


# Shapes


def pad(input: Tensor, pad: List[int], mode: str = "constant", value: Optional[float] = None) -> Tensor:
    """Extends the last axes."""
    return torch._C._nn.pad(input, pad, mode, value)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Moves channels to pixels."""
    return torch.pixel_shuffle(input, upscale_factor)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Moves pixels to channels."""
    return torch.pixel_unshuffle(input, downscale_factor)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Interleaves groups of channels."""
    return torch.channel_shuffle(input, groups)


def unfold(input: Tensor, kernel_size: BroadcastingList2[int], dilation: BroadcastingList2[int] = 1, padding: BroadcastingList2[int] = 0, stride: BroadcastingList2[int] = 1) -> Tensor:
    """The windows of an image as columns."""
    return torch._C._nn.im2col(input, kernel_size, dilation, padding, stride)


def fold(input: Tensor, output_size: BroadcastingList2[int], kernel_size: BroadcastingList2[int], dilation: BroadcastingList2[int] = 1, padding: BroadcastingList2[int] = 0, stride: BroadcastingList2[int] = 1) -> Tensor:
    """The image of which the columns are windows, added up."""
    return torch._C._nn.col2im(input, output_size, kernel_size, dilation, padding, stride)


# Pooling


def no_indices(return_indices: bool) -> None:
    """The plain pooling functions return no indices."""
    if return_indices:
        raise NotImplementedError("kiln: return_indices=True, which must be a constant")


def avg_pool1d(input: Tensor, kernel_size: BroadcastingList1[int], stride: Optional[BroadcastingList1[int]] = None, padding: BroadcastingList1[int] = 0, ceil_mode: bool = False, count_include_pad: bool = True) -> Tensor:
    """Means of windows along one axis."""
    return torch.avg_pool1d(input, kernel_size, kernel_size if stride is None else stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(input: Tensor, kernel_size: BroadcastingList2[int], stride: Optional[BroadcastingList2[int]] = None, padding: BroadcastingList2[int] = 0, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: Optional[int] = None) -> Tensor:
    """Means of windows along two axes."""
    return torch._C._nn.avg_pool2d(input, kernel_size, kernel_size if stride is None else stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(input: Tensor, kernel_size: BroadcastingList3[int], stride: Optional[BroadcastingList3[int]] = None, padding: BroadcastingList3[int] = 0, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: Optional[int] = None) -> Tensor:
    """Means of windows along three axes."""
    return torch._C._nn.avg_pool3d(input, kernel_size, kernel_size if stride is None else stride, padding, ceil_mode, count_include_pad, divisor_override)


def max_pool1d(input: Tensor, kernel_size: BroadcastingList1[int], stride: Optional[BroadcastingList1[int]] = None, padding: BroadcastingList1[int] = 0, dilation: BroadcastingList1[int] = 1, ceil_mode: bool = False, return_indices: bool = False) -> Tensor:
    """Maxima of windows along one axis."""
    no_indices(return_indices)
    return torch.max_pool1d(input, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode)


def max_pool2d(input: Tensor, kernel_size: BroadcastingList2[int], stride: Optional[BroadcastingList2[int]] = None, padding: BroadcastingList2[int] = 0, dilation: BroadcastingList2[int] = 1, ceil_mode: bool = False, return_indices: bool = False) -> Tensor:
    """Maxima of windows along two axes."""
    no_indices(return_indices)
    return torch.max_pool2d(input, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode)


def max_pool3d(input: Tensor, kernel_size: BroadcastingList3[int], stride: Optional[BroadcastingList3[int]] = None, padding: BroadcastingList3[int] = 0, dilation: BroadcastingList3[int] = 1, ceil_mode: bool = False, return_indices: bool = False) -> Tensor:
    """Maxima of windows along three axes."""
    no_indices(return_indices)
    return torch.max_pool3d(input, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode)


def max_pool1d_with_indices(input: Tensor, kernel_size: BroadcastingList1[int], stride: Optional[BroadcastingList1[int]] = None, padding: BroadcastingList1[int] = 0, dilation: BroadcastingList1[int] = 1, ceil_mode: bool = False, return_indices: bool = False) -> Tuple[Tensor, Tensor]:
    """Maxima of windows along one axis, and where they are."""
    return torch.max_pool1d_with_indices(input, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode)


def max_pool2d_with_indices(input: Tensor, kernel_size: BroadcastingList2[int], stride: Optional[BroadcastingList2[int]] = None, padding: BroadcastingList2[int] = 0, dilation: BroadcastingList2[int] = 1, ceil_mode: bool = False, return_indices: bool = False) -> Tuple[Tensor, Tensor]:
    """Maxima of windows along two axes, and where they are."""
    return torch._C._nn.max_pool2d_with_indices(input, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode)


def max_pool3d_with_indices(input: Tensor, kernel_size: BroadcastingList3[int], stride: Optional[BroadcastingList3[int]] = None, padding: BroadcastingList3[int] = 0, dilation: BroadcastingList3[int] = 1, ceil_mode: bool = False, return_indices: bool = False) -> Tuple[Tensor, Tensor]:
    """Maxima of windows along three axes, and where they are."""
    return torch._C._nn.max_pool3d_with_indices(input, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode)


def adaptive_avg_pool1d(input: Tensor, output_size: BroadcastingList1[int]) -> Tensor:
    """Means along one axis, as many as asked for."""
    return torch.adaptive_avg_pool1d(input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: BroadcastingList2[int]) -> Tensor:
    """Means along two axes, as many as asked for."""
    return torch._C._nn.adaptive_avg_pool2d(input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: BroadcastingList3[int]) -> Tensor:
    """Means along three axes, as many as asked for."""
    return torch._C._nn.adaptive_avg_pool3d(input, output_size)


def adaptive_max_pool1d(input: Tensor, output_size: BroadcastingList1[int], return_indices: bool = False) -> Tensor:
    """Maxima along one axis, as many as asked for."""
    no_indices(return_indices)
    return torch.adaptive_max_pool1d(input, output_size)[0]


def adaptive_max_pool2d(input: Tensor, output_size: BroadcastingList2[int], return_indices: bool = False) -> Tensor:
    """Maxima along two axes, as many as asked for."""
    no_indices(return_indices)
    return torch._C._nn.adaptive_max_pool2d(input, output_size)[0]


def adaptive_max_pool3d(input: Tensor, output_size: BroadcastingList3[int], return_indices: bool = False) -> Tensor:
    """Maxima along three axes, as many as asked for."""
    no_indices(return_indices)
    return torch._C._nn.adaptive_max_pool3d(input, output_size)[0]


def adaptive_max_pool1d_with_indices(input: Tensor, output_size: BroadcastingList1[int], return_indices: bool = False) -> Tuple[Tensor, Tensor]:
    """Maxima along one axis, as many as asked for, and where they are."""
    return torch.adaptive_max_pool1d(input, output_size)


def adaptive_max_pool2d_with_indices(input: Tensor, output_size: BroadcastingList2[int], return_indices: bool = False) -> Tuple[Tensor, Tensor]:
    """Maxima along two axes, as many as asked for, and where they are."""
    return torch._C._nn.adaptive_max_pool2d(input, output_size)


def adaptive_max_pool3d_with_indices(input: Tensor, output_size: BroadcastingList3[int], return_indices: bool = False) -> Tuple[Tensor, Tensor]:
    """Maxima along three axes, as many as asked for, and where they are."""
    return torch._C._nn.adaptive_max_pool3d(input, output_size)


def root_of_means(means: Tensor, count: int, norm_type: float) -> Tensor:
    """The norms of windows, of which the means of the powers are given."""
    return (torch.sign(means) * torch.relu(torch.abs(means)) * count).pow(1.0 / norm_type)


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: BroadcastingList1[int], stride: Optional[BroadcastingList1[int]] = None, ceil_mode: bool = False) -> Tensor:
    """Norms of windows along one axis."""
    means = torch.avg_pool1d(input.pow(norm_type), kernel_size, kernel_size if stride is None else stride, 0, ceil_mode)
    return root_of_means(means, product_of(kernel_size), norm_type)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: BroadcastingList2[int], stride: Optional[BroadcastingList2[int]] = None, ceil_mode: bool = False) -> Tensor:
    """Norms of windows along two axes."""
    means = torch._C._nn.avg_pool2d(input.pow(norm_type), kernel_size, kernel_size if stride is None else stride, 0, ceil_mode)
    return root_of_means(means, product_of(kernel_size), norm_type)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: BroadcastingList3[int], stride: Optional[BroadcastingList3[int]] = None, ceil_mode: bool = False) -> Tensor:
    """Norms of windows along three axes."""
    means = torch._C._nn.avg_pool3d(input.pow(norm_type), kernel_size, kernel_size if stride is None else stride, 0, ceil_mode)
    return root_of_means(means, product_of(kernel_size), norm_type)


def unpooled_size(input: Tensor, kernel_size: List[int], stride: List[int], padding: List[int], output_size: Optional[List[int]]) -> List[int]:
    """The size of the input of a pooling of which this is the output."""
    usual: List[int] = []
    for i in range(len(kernel_size)):
        usual.append((input.size(i - len(kernel_size)) - 1) * stride[i] + kernel_size[i] - 2 * padding[i])
    if output_size is None:
        return usual
    wanted = output_size
    if len(wanted) == len(kernel_size) + 2:
        wanted = wanted[2:]
    if len(wanted) != len(kernel_size):
        raise ValueError(f"output_size should be a sequence containing {len(kernel_size)} or {len(kernel_size) + 2} elements, but it has a length of '{len(output_size)}'")
    for i in range(len(kernel_size)):
        if wanted[i] <= usual[i] - stride[i] or wanted[i] >= usual[i] + stride[i]:
            raise ValueError(f'invalid output_size "{wanted}" (dim {i} must be between {usual[i] - stride[i]} and {usual[i] + stride[i]})')
    return wanted


def max_unpool1d(input: Tensor, indices: Tensor, kernel_size: BroadcastingList1[int], stride: Optional[BroadcastingList1[int]] = None, padding: BroadcastingList1[int] = 0, output_size: Optional[List[int]] = None) -> Tensor:
    """Puts maxima back where they were, along one axis."""
    size = unpooled_size(input, kernel_size, kernel_size if stride is None else stride, padding, output_size)
    return torch._C._nn.max_unpool2d(input.unsqueeze(-1), indices.unsqueeze(-1), size + [1]).squeeze(-1)


def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: BroadcastingList2[int], stride: Optional[BroadcastingList2[int]] = None, padding: BroadcastingList2[int] = 0, output_size: Optional[List[int]] = None) -> Tensor:
    """Puts maxima back where they were, along two axes."""
    return torch._C._nn.max_unpool2d(input, indices, unpooled_size(input, kernel_size, kernel_size if stride is None else stride, padding, output_size))


def max_unpool3d(input: Tensor, indices: Tensor, kernel_size: BroadcastingList3[int], stride: Optional[BroadcastingList3[int]] = None, padding: BroadcastingList3[int] = 0, output_size: Optional[List[int]] = None) -> Tensor:
    """Puts maxima back where they were, along three axes."""
    step = kernel_size if stride is None else stride
    return torch._C._nn.max_unpool3d(input, indices, unpooled_size(input, kernel_size, step, padding, output_size), step, padding)


# Images


def interpolate(input: Tensor, size: Optional[BroadcastingList1[int]] = None, scale_factor: Optional[BroadcastingList1[float]] = None, mode: str = "nearest", align_corners: Optional[bool] = None, recompute_scale_factor: Optional[bool] = None, antialias: bool = False) -> Tensor:
    """Resizes. A size or factor with one element counts for all axes."""
    interpolating = mode != "nearest" and mode != "area" and mode != "nearest-exact"
    if not interpolating and align_corners is not None:
        raise ValueError("align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear")
    corners = False if align_corners is None else align_corners
    axes = input.dim() - 2
    sizes: Optional[List[int]] = None
    factors: Optional[List[float]] = None
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    elif size is not None:
        wanted = size * axes if len(size) == 1 else size
        if len(wanted) != axes:
            raise ValueError(f"Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of {input.shape[2:]} and output size of {size}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format.")
        sizes = wanted
    elif scale_factor is not None:
        ratios = scale_factor * axes if len(scale_factor) == 1 else scale_factor
        if len(ratios) != axes:
            raise ValueError(f"Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions of {input.shape[2:]} and scale_factor of shape {scale_factor}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format.")
        factors = ratios
    else:
        raise ValueError("either size or scale_factor should be defined")
    recompute = recompute_scale_factor is not None and recompute_scale_factor
    if recompute and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if (recompute or mode == "area") and factors is not None:
        computed: List[int] = []
        for i in range(axes):
            computed.append(int(math.floor(float(input.size(i + 2)) * factors[i])))
        sizes = computed
        factors = None
    if antialias and not ((mode == "bilinear" or mode == "bicubic" or mode == "lanczos") and input.dim() == 4):
        raise ValueError("Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input")
    if input.dim() == 3:
        if mode == "nearest":
            return torch._C._nn.upsample_nearest1d(input, sizes, factors)
        if mode == "nearest-exact":
            return torch._C._nn._upsample_nearest_exact1d(input, sizes, factors)
        if mode == "area":
            assert sizes is not None
            return torch.adaptive_avg_pool1d(input, sizes)
        if mode == "linear":
            return torch._C._nn.upsample_linear1d(input, sizes, corners, factors)
        if mode == "bilinear":
            raise NotImplementedError("Got 3D input, but bilinear mode needs 4D input")
        if mode == "trilinear":
            raise NotImplementedError("Got 3D input, but trilinear mode needs 5D input")
    if input.dim() == 4:
        if mode == "nearest":
            return torch._C._nn.upsample_nearest2d(input, sizes, factors)
        if mode == "nearest-exact":
            return torch._C._nn._upsample_nearest_exact2d(input, sizes, factors)
        if mode == "area":
            assert sizes is not None
            return torch._C._nn.adaptive_avg_pool2d(input, sizes)
        if mode == "linear":
            raise NotImplementedError("Got 4D input, but linear mode needs 3D input")
        if mode == "bilinear":
            return torch._C._nn._upsample_bilinear2d_aa(input, sizes, corners, factors) if antialias else torch._C._nn.upsample_bilinear2d(input, sizes, corners, factors)
        if mode == "bicubic":
            return torch._C._nn._upsample_bicubic2d_aa(input, sizes, corners, factors) if antialias else torch._C._nn.upsample_bicubic2d(input, sizes, corners, factors)
        if mode == "lanczos":
            if corners:
                raise ValueError("Lanczos mode does not support align_corners=True")
            if not antialias:
                raise ValueError("Lanczos mode requires antialias=True")
            return torch._C._nn._upsample_lanczos2d_aa(input, sizes, corners, factors)
        if mode == "trilinear":
            raise NotImplementedError("Got 4D input, but trilinear mode needs 5D input")
    if input.dim() == 5:
        if mode == "nearest":
            return torch._C._nn.upsample_nearest3d(input, sizes, factors)
        if mode == "nearest-exact":
            return torch._C._nn._upsample_nearest_exact3d(input, sizes, factors)
        if mode == "area":
            assert sizes is not None
            return torch._C._nn.adaptive_avg_pool3d(input, sizes)
        if mode == "linear":
            raise NotImplementedError("Got 5D input, but linear mode needs 3D input")
        if mode == "bilinear":
            raise NotImplementedError("Got 5D input, but bilinear mode needs 4D input")
        if mode == "trilinear":
            return torch._C._nn.upsample_trilinear3d(input, sizes, corners, factors)
    raise NotImplementedError(f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.dim()}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})")


def upsample(input: Tensor, size: Optional[BroadcastingList1[int]] = None, scale_factor: Optional[BroadcastingList1[float]] = None, mode: str = "nearest", align_corners: Optional[bool] = None) -> Tensor:
    """As interpolate."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Optional[BroadcastingList1[int]] = None, scale_factor: Optional[BroadcastingList1[float]] = None) -> Tensor:
    """interpolate by the nearest pixel"""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Optional[BroadcastingList1[int]] = None, scale_factor: Optional[BroadcastingList1[float]] = None) -> Tensor:
    """Bilinear interpolate with aligned corners"""
    return interpolate(input, size, scale_factor, "bilinear", True)


def grid_sample(input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: Optional[bool] = None) -> Tensor:
    """Samples an image at points in [-1, 1]."""
    if mode != "bilinear" and mode != "nearest" and mode != "bicubic":
        raise ValueError(f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'")
    if padding_mode != "zeros" and padding_mode != "border" and padding_mode != "reflection":
        raise ValueError(f"nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: '{padding_mode}'")
    interpolation = 0 if mode == "bilinear" else (1 if mode == "nearest" else 2)
    outside = 0 if padding_mode == "zeros" else (1 if padding_mode == "border" else 2)
    return torch.grid_sampler(input, grid, interpolation, outside, False if align_corners is None else align_corners)


def affine_grid(theta: Tensor, size: List[int], align_corners: Optional[bool] = None) -> Tensor:
    """The grid of grid_sample for affine maps."""
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if len(size) != 4 and len(size) != 5:
        raise NotImplementedError(f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {size}.")
    axes = len(size) - 2
    if theta.dim() != 3 or theta.size(-2) != axes or theta.size(-1) != axes + 1:
        raise ValueError(f"Expected a batch of {axes}D affine matrices of shape Nx{axes}x{axes + 1} for size {size}. Got {theta.shape}.")
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return torch.affine_grid_generator(theta, size, False if align_corners is None else align_corners)


# Losses


def legacy_reduction(size_average: Optional[bool], reduce: Optional[bool], reduction: str) -> str:
    """The reduction that the older arguments ask for, where there are any."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is not None and not reduce:
        return "none"
    return "sum" if size_average is not None and not size_average else "mean"


def reduction_number(size_average: Optional[bool], reduce: Optional[bool], reduction: str) -> int:
    """A reduction as operators know it: 0 (none), 1 (mean) or 2 (sum)."""
    name = legacy_reduction(size_average, reduce, reduction)
    if name == "none":
        return 0
    if name == "mean" or name == "elementwise_mean":
        return 1
    if name == "sum":
        return 2
    raise ValueError(f"{name} is not a valid value for reduction")


def reduced(loss: Tensor, number: int) -> Tensor:
    """Applies a reduction."""
    if number == 1:
        return loss.mean()
    if number == 2:
        return loss.sum()
    return loss


def weighted(loss: Tensor, input: Tensor, weight: Tensor, number: int) -> Tensor:
    """Applies weights and a reduction, in which the mean is that by weight."""
    if weight.size() != input.size():
        raise ValueError("Weights and input must have the same size.")
    scaled = loss * weight
    if number == 0:
        return scaled
    if number == 2:
        return scaled.sum()
    return scaled.sum() / weight.sum()


def cross_entropy(input: Tensor, target: Tensor, weight: Optional[Tensor] = None, size_average: Optional[bool] = None, ignore_index: int = -100, reduce: Optional[bool] = None, reduction: str = "mean", label_smoothing: float = 0.0) -> Tensor:
    """The cross entropy of logits and classes or probabilities."""
    return torch._C._nn.cross_entropy_loss(input, target, weight, reduction_number(size_average, reduce, reduction), ignore_index, label_smoothing)


def nll_loss(input: Tensor, target: Tensor, weight: Optional[Tensor] = None, size_average: Optional[bool] = None, ignore_index: int = -100, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """The negative log-likelihood of classes."""
    return torch._C._nn.nll_loss_nd(input, target, weight, reduction_number(size_average, reduce, reduction), ignore_index)


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: Optional[bool] = None, eps: float = 1e-08, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """The negative log-likelihood of Poisson counts."""
    name = legacy_reduction(size_average, reduce, reduction)
    if name != "none" and name != "mean" and name != "sum":
        raise ValueError(f"{name} is not a valid value for reduction")
    return torch.poisson_nll_loss(input, target, log_input, full, eps, reduction_number(None, None, name))


def gaussian_nll_loss(input: Tensor, target: Tensor, var: Union[Tensor, float], full: bool = False, eps: float = 1e-06, reduction: str = "mean") -> Tensor:
    """The negative log-likelihood of normal variables."""
    if isinstance(var, float):
        if var < 0.0:
            raise ValueError("var has negative entry/entries")
        variance = var * torch.ones_like(input)
    else:
        if torch.any(var < 0):
            raise ValueError("var has negative entry/entries")
        variance = var
    if variance.size() != input.size():
        if input.shape[:-1] == variance.shape:
            variance = variance.unsqueeze(-1)
        elif not (input.shape[:-1] == variance.shape[:-1] and variance.size(-1) == 1) and input.dim() != variance.dim():
            raise ValueError("var is of incorrect size")
    if reduction != "none" and reduction != "mean" and reduction != "sum":
        raise ValueError(f"{reduction} is not valid")
    variance = variance.detach().clamp(min=eps)
    loss = 0.5 * (torch.log(variance) + (input - target) * (input - target) / variance)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction_number(None, None, reduction))


def kl_div(input: Tensor, target: Tensor, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """The Kullback-Leibler divergence."""
    name = legacy_reduction(size_average, reduce, reduction)
    if name == "batchmean":
        total = torch.kl_div(input, target, 2, log_target=log_target)
        return total / input.size(0) if input.dim() != 0 else total
    return torch.kl_div(input, target, reduction_number(None, None, name), log_target=log_target)


def mse_loss(input: Tensor, target: Tensor, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean", weight: Optional[Tensor] = None) -> Tensor:
    """Squares of differences."""
    number = reduction_number(size_average, reduce, reduction)
    x, y = torch.broadcast_tensors(input, target)
    if weight is not None:
        return weighted(torch.pow(x - y, 2), input, weight, number)
    return torch._C._nn.mse_loss(x, y, number)


def l1_loss(input: Tensor, target: Tensor, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean", weight: Optional[Tensor] = None) -> Tensor:
    """Absolute differences."""
    number = reduction_number(size_average, reduce, reduction)
    x, y = torch.broadcast_tensors(input, target)
    if weight is not None:
        return weighted(torch.abs(x - y), input, weight, number)
    return torch._C._nn.l1_loss(x, y, number)


def smooth_l1_loss(input: Tensor, target: Tensor, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Absolute differences, squares where below beta."""
    number = reduction_number(size_average, reduce, reduction)
    x, y = torch.broadcast_tensors(input, target)
    if beta == 0.0:
        return torch._C._nn.l1_loss(x, y, number)
    return torch._C._nn.smooth_l1_loss(x, y, number, beta)


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Optional[Tensor] = None) -> Tensor:
    """Squares of differences, linear above delta."""
    number = reduction_number(None, None, reduction)
    x, y = torch.broadcast_tensors(input, target)
    if weight is not None:
        if weight.size() != input.size():
            raise ValueError("Weights and input must have the same size.")
        return reduced(torch._C._nn.huber_loss(x, y, 0, delta) * weight, number)
    return torch._C._nn.huber_loss(x, y, number, delta)


def binary_cross_entropy(input: Tensor, target: Tensor, weight: Optional[Tensor] = None, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """The cross entropy of probabilities."""
    number = reduction_number(size_average, reduce, reduction)
    if target.size() != input.size():
        raise ValueError(f"Using a target size ({target.size()}) that is different to the input size ({input.size()}) is deprecated. Please ensure they have the same size.")
    scale = weight
    if weight is not None:
        scale = weight.expand(torch.broadcast_tensors(target, weight)[0].shape)
    return torch._C._nn.binary_cross_entropy(input, target, scale, number)


def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight: Optional[Tensor] = None, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean", pos_weight: Optional[Tensor] = None) -> Tensor:
    """The cross entropy of the sigmoids of logits."""
    number = reduction_number(size_average, reduce, reduction)
    if target.size() != input.size():
        raise ValueError(f"Target size ({target.size()}) must be the same as input size ({input.size()})")
    return torch.binary_cross_entropy_with_logits(input, target, weight, pos_weight, number)


def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """A loss of the cosines of pairs that should (1) or should not (-1) be similar."""
    return torch.cosine_embedding_loss(input1, input2, target, margin, reduction_number(size_average, reduce, reduction))


def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """max(0, -target * (input1 - input2) + margin)"""
    number = reduction_number(size_average, reduce, reduction)
    if input1.dim() != input2.dim() or input1.dim() != target.dim():
        raise RuntimeError(f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} ")
    return torch.margin_ranking_loss(input1, input2, target, margin, number)


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1"""
    return torch.hinge_embedding_loss(input, target, margin, reduction_number(size_average, reduce, reduction))


def soft_margin_loss(input: Tensor, target: Tensor, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """log(1 + exp(-target * x))"""
    return torch._C._nn.soft_margin_loss(input, target, reduction_number(size_average, reduce, reduction))


def multi_margin_loss(input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Optional[Tensor] = None, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """The hinge loss of classes."""
    number = reduction_number(size_average, reduce, reduction)
    if p != 1 and p != 2:
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    return torch._C._nn.multi_margin_loss(input, target, p, margin, weight, number)


def multilabel_margin_loss(input: Tensor, target: Tensor, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """The hinge loss of sets of classes."""
    return torch._C._nn.multilabel_margin_loss(input, target, reduction_number(size_average, reduce, reduction))


def multilabel_soft_margin_loss(input: Tensor, target: Tensor, weight: Optional[Tensor] = None, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """The mean over classes of the cross entropy of the sigmoids of logits."""
    name = legacy_reduction(size_average, reduce, reduction)
    loss = -(target * torch._C._nn.log_sigmoid(input) + (1 - target) * torch._C._nn.log_sigmoid(-input))
    if weight is not None:
        loss = loss * weight
    means = loss.sum(dim=input.dim() - 1) / input.size(input.dim() - 1)
    if name != "none" and name != "mean" and name != "sum":
        raise ValueError(f"{name} is not valid")
    return reduced(means, reduction_number(None, None, name))


def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0, eps: float = 1e-06, swap: bool = False, size_average: Optional[bool] = None, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """max(0, margin + distance to the positive - distance to the negative)"""
    number = reduction_number(size_average, reduce, reduction)
    if margin <= 0.0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return torch.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, number)


def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> Tensor:
    """The loss of connectionist temporal classification."""
    return torch.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, reduction_number(None, None, reduction), zero_infinity)


# Attention


def additive_mask(mask: Optional[Tensor], name: str, dtype: int) -> Optional[Tensor]:
    """A mask as numbers to be added to scores."""
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask, -math.inf)
    if not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {name} are supported")
    return mask


def check_attention_shapes(query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Optional[Tensor], attn_mask: Optional[Tensor], num_heads: int) -> None:
    """All with a batch axis, or all without."""
    if query.dim() == 3:
        assert key.dim() == 3 and value.dim() == 3, f"For batched (3-D) `query`, expected `key` and `value` to be 3-D but found {key.dim()}-D and {value.dim()}-D tensors respectively"
        if key_padding_mask is not None:
            assert key_padding_mask.dim() == 2, f"For batched (3-D) `query`, expected `key_padding_mask` to be `None` or 2-D but found {key_padding_mask.dim()}-D tensor instead"
        if attn_mask is not None:
            assert attn_mask.dim() == 2 or attn_mask.dim() == 3, f"For batched (3-D) `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.dim()}-D tensor instead"
    elif query.dim() == 2:
        assert key.dim() == 2 and value.dim() == 2, f"For unbatched (2-D) `query`, expected `key` and `value` to be 2-D but found {key.dim()}-D and {value.dim()}-D tensors respectively"
        if key_padding_mask is not None:
            assert key_padding_mask.dim() == 1, f"For unbatched (2-D) `query`, expected `key_padding_mask` to be `None` or 1-D but found {key_padding_mask.dim()}-D tensor instead"
        if attn_mask is not None:
            assert attn_mask.dim() == 2 or attn_mask.dim() == 3, f"For unbatched (2-D) `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.dim()}-D tensor instead"
            if attn_mask.dim() == 3:
                assert attn_mask.size(0) == num_heads and attn_mask.size(1) == query.size(0) and attn_mask.size(2) == key.size(0), f"Expected `attn_mask` shape to be {(num_heads, query.size(0), key.size(0))} but got {attn_mask.shape}"
    else:
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {query.dim()}-D query tensor")


def head_major(x: Tensor, heads: int) -> Tensor:
    """[time, batch, heads * size] as [batch * heads, time, size]"""
    return x.reshape([x.size(0), x.size(1) * heads, x.size(2) // heads]).transpose(0, 1)


def wider(mask: Optional[Tensor]) -> Optional[Tensor]:
    """A mask for one more key, which counts."""
    return None if mask is None else torch._C._nn.pad(mask, [0, 1])


def multi_head_attention_forward(query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Optional[Tensor], in_proj_bias: Optional[Tensor], bias_k: Optional[Tensor], bias_v: Optional[Tensor], add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor, out_proj_bias: Optional[Tensor], training: bool = True, key_padding_mask: Optional[Tensor] = None, need_weights: bool = True, attn_mask: Optional[Tensor] = None, use_separate_proj_weight: bool = False, q_proj_weight: Optional[Tensor] = None, k_proj_weight: Optional[Tensor] = None, v_proj_weight: Optional[Tensor] = None, static_k: Optional[Tensor] = None, static_v: Optional[Tensor] = None, average_attn_weights: bool = True, is_causal: bool = False) -> Tuple[Tensor, Optional[Tensor]]:
    """Attention with several heads on [time, batch, features] or [time, features], and its weights when they are needed."""
    check_attention_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    batched = query.dim() == 3
    if not batched:
        query = query.unsqueeze(1)
        key = key.unsqueeze(1)
        value = value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, features = query.size(0), query.size(1), query.size(2)
    keys = key.size(0)
    padding = additive_mask(key_padding_mask, "key_padding_mask", query.dtype)
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint. You may use the Transformer module method `generate_square_subsequent_mask` to create this mask.")
    causal = is_causal and padding is None and not need_weights
    mask: Optional[Tensor] = None
    if not causal:
        mask = additive_mask(attn_mask, "attn_mask", query.dtype)
    assert features == embed_dim_to_check, f"was expecting embedding dimension of {embed_dim_to_check}, but got {features}"
    size = features // num_heads
    assert size * num_heads == features, f"embed_dim {features} not divisible by num_heads {num_heads}"
    if use_separate_proj_weight:
        assert key.shape[:2] == value.shape[:2], f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
        assert q_proj_weight is not None, "use_separate_proj_weight is True but q_proj_weight is None"
        assert k_proj_weight is not None, "use_separate_proj_weight is True but k_proj_weight is None"
        assert v_proj_weight is not None, "use_separate_proj_weight is True but v_proj_weight is None"
        w_q, w_k, w_v = q_proj_weight, k_proj_weight, v_proj_weight
    else:
        assert key.shape == value.shape, f"key shape {key.shape} does not match value shape {value.shape}"
        assert in_proj_weight is not None, "use_separate_proj_weight is False but in_proj_weight is None"
        w_q, w_k, w_v = in_proj_weight.narrow(0, 0, features), in_proj_weight.narrow(0, features, features), in_proj_weight.narrow(0, 2 * features, features)
    if in_proj_bias is None:
        q = torch._C._nn.linear(query, w_q)
        k = torch._C._nn.linear(key, w_k)
        v = torch._C._nn.linear(value, w_v)
    else:
        q = torch._C._nn.linear(query, w_q, in_proj_bias.narrow(0, 0, features))
        k = torch._C._nn.linear(key, w_k, in_proj_bias.narrow(0, features, features))
        v = torch._C._nn.linear(value, w_v, in_proj_bias.narrow(0, 2 * features, features))
    if mask is not None:
        if mask.dim() == 2:
            if mask.size(0) != length or mask.size(1) != keys:
                raise RuntimeError(f"The shape of the 2D attn_mask is {mask.shape}, but should be {(length, keys)}.")
            mask = mask.unsqueeze(0)
        elif mask.size(0) != batch * num_heads or mask.size(1) != length or mask.size(2) != keys:
            raise RuntimeError(f"The shape of the 3D attn_mask is {mask.shape}, but should be {(batch * num_heads, length, keys)}.")
    if bias_k is not None and bias_v is not None:
        assert static_k is None, "bias cannot be added to static key."
        assert static_v is None, "bias cannot be added to static value."
        k = torch.cat([k, bias_k.repeat(1, batch, 1)])
        v = torch.cat([v, bias_v.repeat(1, batch, 1)])
        mask = wider(mask)
        padding = wider(padding)
    else:
        assert bias_k is None, "bias_k is set but bias_v is None"
        assert bias_v is None, "bias_v is set but bias_k is None"
    if static_k is not None:
        assert static_k.size(0) == batch * num_heads, f"expecting static_k.size(0) of {batch * num_heads}, but got {static_k.size(0)}"
        assert static_k.size(2) == size, f"expecting static_k.size(2) of {size}, but got {static_k.size(2)}"
    if static_v is not None:
        assert static_v.size(0) == batch * num_heads, f"expecting static_v.size(0) of {batch * num_heads}, but got {static_v.size(0)}"
        assert static_v.size(2) == size, f"expecting static_v.size(2) of {size}, but got {static_v.size(2)}"
    q = head_major(q, num_heads)
    k = head_major(k, num_heads) if static_k is None else static_k
    v = head_major(v, num_heads) if static_v is None else static_v
    if add_zero_attn:
        zero = torch.zeros([batch * num_heads, 1, size], dtype=k.dtype, device=k.device)
        k = torch.cat([k, zero], 1)
        v = torch.cat([v, zero], 1)
        mask = wider(mask)
        padding = wider(padding)
    keys = k.size(1)
    if padding is not None:
        assert padding.size(0) == batch, f"Expected key_padded_mask.shape[0] to be {batch}, but got {padding.size(0)}"
        assert padding.size(1) == keys, f"Expected key_padded_mask.shape[1] to be {keys}, but got {padding.size(1)}"
        own = padding.reshape([batch, 1, 1, keys]).expand(-1, num_heads, -1, -1).reshape([batch * num_heads, 1, keys])
        mask = own if mask is None else mask + own
    weights: Optional[Tensor] = None
    if need_weights:
        scores = torch.bmm(q * math.sqrt(1.0 / float(size)), k.transpose(-2, -1))
        if mask is not None:
            scores = scores + mask
        attention = torch.softmax(scores, -1)
        if training and dropout_p > 0.0:
            attention = torch.dropout(attention, dropout_p, True)
        output = torch.bmm(attention, v).transpose(0, 1).reshape([length * batch, features])
        weights = attention.reshape([batch, num_heads, length, keys])
        if average_attn_weights:
            weights = weights.mean(dim=1)
        if not batched:
            weights = weights.squeeze(0)
    else:
        if mask is not None:
            mask = mask.unsqueeze(0) if mask.size(0) == 1 else mask.reshape([batch, num_heads, -1, keys])
        heads = torch._C._nn.scaled_dot_product_attention(q.reshape([batch, num_heads, length, size]), k.reshape([batch, num_heads, keys, size]), v.reshape([batch, num_heads, keys, size]), mask, dropout_p if training else 0.0, causal)
        output = heads.permute([2, 0, 1, 3]).reshape([length * batch, features])
    result = torch._C._nn.linear(output, out_proj_weight, out_proj_bias).reshape([length, batch, out_proj_weight.size(0)])
    return (result if batched else result.squeeze(1)), weights
