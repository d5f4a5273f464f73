"""torch.nn: convolutions and transposed convolutions."""

import torch
from torch import Tensor
import torch.nn.functional as F
from typing import List, Optional


def per_axis(value, axes):
    """A tuple of one value for each axis, of a value or a sequence."""
    if isinstance(value, (tuple, list)):
        return tuple(value)
    return (value,) * axes


class _ConvNd(Module):
    """What all convolutions have."""

    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, dilation, transposed, output_padding, groups, bias, padding_mode, dtype):
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string '{padding}', should be one of {{'same', 'valid'}}")
            if padding == "same" and any([step != 1 for step in stride]):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(f"padding_mode must be one of {{'zeros', 'reflect', 'replicate', 'circular'}}, but got padding_mode='{padding_mode}'")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        amounts = []
        for axis in reversed(range(len(kernel_size))):
            if padding == "same":
                total = dilation[axis] * (kernel_size[axis] - 1)
                amounts.append(total // 2)
                amounts.append(total - total // 2)
            elif padding == "valid":
                amounts.append(0)
                amounts.append(0)
            else:
                amounts.append(padding[axis])
                amounts.append(padding[axis])
        self._reversed_padding_repeated_twice = amounts
        if transposed:
            self.weight = Parameter(torch.empty((in_channels, out_channels // groups) + kernel_size, dtype=dtype))
        else:
            self.weight = Parameter(torch.empty((out_channels, in_channels // groups) + kernel_size, dtype=dtype))
        if bias:
            self.bias = Parameter(torch.empty(out_channels, dtype=dtype))
        else:
            self.register_parameter("bias", None)


def text_or_per_axis(padding, axes):
    """A padding, which may be a word."""
    return padding if isinstance(padding, str) else per_axis(padding, axes)


class Conv1d(_ConvNd):
    """Convolution along one axis."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0, dilation=1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device=None, dtype=None):
        super().__init__(in_channels, out_channels, per_axis(kernel_size, 1), per_axis(stride, 1), text_or_per_axis(padding, 1), per_axis(dilation, 1), False, per_axis(0, 1), groups, bias, padding_mode, dtype)

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode != "zeros":
            return F.conv1d(F.pad(input, self._reversed_padding_repeated_twice, self.padding_mode), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return F.conv1d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv2d(_ConvNd):
    """Convolution along two axes."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0, dilation=1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device=None, dtype=None):
        super().__init__(in_channels, out_channels, per_axis(kernel_size, 2), per_axis(stride, 2), text_or_per_axis(padding, 2), per_axis(dilation, 2), False, per_axis(0, 2), groups, bias, padding_mode, dtype)

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode != "zeros":
            return F.conv2d(F.pad(input, self._reversed_padding_repeated_twice, self.padding_mode), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv3d(_ConvNd):
    """Convolution along three axes."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0, dilation=1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device=None, dtype=None):
        super().__init__(in_channels, out_channels, per_axis(kernel_size, 3), per_axis(stride, 3), text_or_per_axis(padding, 3), per_axis(dilation, 3), False, per_axis(0, 3), groups, bias, padding_mode, dtype)

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode != "zeros":
            return F.conv3d(F.pad(input, self._reversed_padding_repeated_twice, self.padding_mode), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return F.conv3d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class _ConvTransposeNd(_ConvNd):
    """What all transposed convolutions have."""

    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias, padding_mode, dtype):
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, True, output_padding, groups, bias, padding_mode, dtype)

    def extra(self, input: Tensor, output_size: Optional[List[int]], stride: List[int], padding: List[int], kernel_size: List[int], dilation: List[int], output_padding: List[int]) -> List[int]:
        """The output padding that a wanted size needs."""
        if output_size is None:
            return output_padding
        axes = len(kernel_size)
        wanted = output_size
        if len(wanted) == input.dim() and input.dim() == axes + 2:
            wanted = wanted[2:]
        if len(wanted) == input.dim() and input.dim() == axes + 1:
            wanted = wanted[1:]
        if len(wanted) != axes:
            raise ValueError(f"ConvTranspose{axes}D: for {input.dim()}D input, output_size must have {axes} or {input.dim()} elements (got {len(output_size)})")
        least: List[int] = []
        for i in range(axes):
            least.append((input.size(i - axes) - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel_size[i] - 1) + 1)
        most: List[int] = []
        for i in range(axes):
            most.append(least[i] + stride[i] - 1)
        result: List[int] = []
        for i in range(axes):
            if wanted[i] < least[i] or wanted[i] > most[i]:
                raise ValueError(f"requested an output size of {wanted}, but valid sizes range from {least} to {most} (for an input of {input.shape[2:]})")
            result.append(wanted[i] - least[i])
        return result


class ConvTranspose1d(_ConvTransposeNd):
    """Transposed convolution along one axis."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0, output_padding=0, groups: int = 1, bias: bool = True, dilation=1, padding_mode: str = "zeros", device=None, dtype=None):
        super().__init__(in_channels, out_channels, per_axis(kernel_size, 1), per_axis(stride, 1), per_axis(padding, 1), per_axis(dilation, 1), per_axis(output_padding, 1), groups, bias, padding_mode, dtype)

    def forward(self, input: Tensor, output_size: Optional[List[int]] = None) -> Tensor:
        extra = self.extra(input, output_size, self.stride, self.padding, self.kernel_size, self.dilation, self.output_padding)
        return F.conv_transpose1d(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution along two axes."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0, output_padding=0, groups: int = 1, bias: bool = True, dilation=1, padding_mode: str = "zeros", device=None, dtype=None):
        super().__init__(in_channels, out_channels, per_axis(kernel_size, 2), per_axis(stride, 2), per_axis(padding, 2), per_axis(dilation, 2), per_axis(output_padding, 2), groups, bias, padding_mode, dtype)

    def forward(self, input: Tensor, output_size: Optional[List[int]] = None) -> Tensor:
        extra = self.extra(input, output_size, self.stride, self.padding, self.kernel_size, self.dilation, self.output_padding)
        return F.conv_transpose2d(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)


class ConvTranspose3d(_ConvTransposeNd):
    """Transposed convolution along three axes."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0, output_padding=0, groups: int = 1, bias: bool = True, dilation=1, padding_mode: str = "zeros", device=None, dtype=None):
        super().__init__(in_channels, out_channels, per_axis(kernel_size, 3), per_axis(stride, 3), per_axis(padding, 3), per_axis(dilation, 3), per_axis(output_padding, 3), groups, bias, padding_mode, dtype)

    def forward(self, input: Tensor, output_size: Optional[List[int]] = None) -> Tensor:
        extra = self.extra(input, output_size, self.stride, self.padding, self.kernel_size, self.dilation, self.output_padding)
        return F.conv_transpose3d(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)
