"""torch.nn: pooling."""

from torch import Tensor
import torch.nn.functional as F
from typing import List, Optional


class MaxPool1d(Module):
    """Maxima of windows along one axis, and where they are, if asked for."""

    __constants__ = ["return_indices"]

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices: bool = False, ceil_mode: bool = False):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor):
        if self.return_indices:
            return F.max_pool1d_with_indices(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        else:
            return F.max_pool1d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool2d(Module):
    """Maxima of windows along two axes, and where they are, if asked for."""

    __constants__ = ["return_indices"]

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices: bool = False, ceil_mode: bool = False):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor):
        if self.return_indices:
            return F.max_pool2d_with_indices(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        else:
            return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool3d(Module):
    """Maxima of windows along three axes, and where they are, if asked for."""

    __constants__ = ["return_indices"]

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices: bool = False, ceil_mode: bool = False):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor):
        if self.return_indices:
            return F.max_pool3d_with_indices(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        else:
            return F.max_pool3d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class AvgPool1d(Module):
    """Means of windows along one axis."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode: bool = False, count_include_pad: bool = True):
        super().__init__()
        self.kernel_size = per_axis(kernel_size, 1)
        self.stride = per_axis(kernel_size if stride is None else stride, 1)
        self.padding = per_axis(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(Module):
    """Means of windows along two axes."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: Optional[int] = None):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override)


class AvgPool3d(Module):
    """Means of windows along three axes."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: Optional[int] = None):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool3d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override)


def wanted_sizes(output_size, axes):
    """The wanted size of each axis, None where it stays."""
    return list(output_size) if isinstance(output_size, (tuple, list)) else [output_size] * axes


def adaptive_size(input: Tensor, sizes: List[Optional[int]]) -> List[int]:
    """Sizes with those of the input where they stay."""
    result: List[int] = []
    for i in range(len(sizes)):
        size = sizes[i]
        result.append(input.size(i - len(sizes)) if size is None else size)
    return result


class AdaptiveAvgPool1d(Module):
    """Means along one axis, as many as asked for."""

    sizes: List[Optional[int]]

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size
        self.sizes = wanted_sizes(output_size, 1)

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, adaptive_size(input, self.sizes))


class AdaptiveAvgPool2d(Module):
    """Means along two axes, as many as asked for."""

    sizes: List[Optional[int]]

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size
        self.sizes = wanted_sizes(output_size, 2)

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, adaptive_size(input, self.sizes))


class AdaptiveAvgPool3d(Module):
    """Means along three axes, as many as asked for."""

    sizes: List[Optional[int]]

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size
        self.sizes = wanted_sizes(output_size, 3)

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, adaptive_size(input, self.sizes))


class AdaptiveMaxPool1d(Module):
    """Maxima along one axis, as many as asked for, and where they are, if asked for."""

    __constants__ = ["return_indices"]
    sizes: List[Optional[int]]

    def __init__(self, output_size, return_indices: bool = False):
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices
        self.sizes = wanted_sizes(output_size, 1)

    def forward(self, input: Tensor):
        if self.return_indices:
            return F.adaptive_max_pool1d_with_indices(input, adaptive_size(input, self.sizes))
        else:
            return F.adaptive_max_pool1d(input, adaptive_size(input, self.sizes))


class AdaptiveMaxPool2d(Module):
    """Maxima along two axes, as many as asked for, and where they are, if asked for."""

    __constants__ = ["return_indices"]
    sizes: List[Optional[int]]

    def __init__(self, output_size, return_indices: bool = False):
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices
        self.sizes = wanted_sizes(output_size, 2)

    def forward(self, input: Tensor):
        if self.return_indices:
            return F.adaptive_max_pool2d_with_indices(input, adaptive_size(input, self.sizes))
        else:
            return F.adaptive_max_pool2d(input, adaptive_size(input, self.sizes))


class AdaptiveMaxPool3d(Module):
    """Maxima along three axes, as many as asked for, and where they are, if asked for."""

    __constants__ = ["return_indices"]
    sizes: List[Optional[int]]

    def __init__(self, output_size, return_indices: bool = False):
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices
        self.sizes = wanted_sizes(output_size, 3)

    def forward(self, input: Tensor):
        if self.return_indices:
            return F.adaptive_max_pool3d_with_indices(input, adaptive_size(input, self.sizes))
        else:
            return F.adaptive_max_pool3d(input, adaptive_size(input, self.sizes))


class LPPool1d(Module):
    """Norms of windows along one axis."""

    def __init__(self, norm_type: float, kernel_size, stride=None, ceil_mode: bool = False):
        super().__init__()
        self.norm_type = float(norm_type)
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool1d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(Module):
    """Norms of windows along two axes."""

    def __init__(self, norm_type: float, kernel_size, stride=None, ceil_mode: bool = False):
        super().__init__()
        self.norm_type = float(norm_type)
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool2d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(Module):
    """Norms of windows along three axes."""

    def __init__(self, norm_type: float, kernel_size, stride=None, ceil_mode: bool = False):
        super().__init__()
        self.norm_type = float(norm_type)
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool3d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class MaxUnpool1d(Module):
    """Puts maxima back where they were, along one axis."""

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = per_axis(kernel_size, 1)
        self.stride = per_axis(kernel_size if stride is None else stride, 1)
        self.padding = per_axis(padding, 1)

    def forward(self, input: Tensor, indices: Tensor, output_size: Optional[List[int]] = None) -> Tensor:
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(Module):
    """Puts maxima back where they were, along two axes."""

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = per_axis(kernel_size, 2)
        self.stride = per_axis(kernel_size if stride is None else stride, 2)
        self.padding = per_axis(padding, 2)

    def forward(self, input: Tensor, indices: Tensor, output_size: Optional[List[int]] = None) -> Tensor:
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(Module):
    """Puts maxima back where they were, along three axes."""

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = per_axis(kernel_size, 3)
        self.stride = per_axis(kernel_size if stride is None else stride, 3)
        self.padding = per_axis(padding, 3)

    def forward(self, input: Tensor, indices: Tensor, output_size: Optional[List[int]] = None) -> Tensor:
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)
