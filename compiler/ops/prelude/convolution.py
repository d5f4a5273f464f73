"""The convolutions of torch.nn as the general one."""


@op("aten::conv1d")
def conv1d(input: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: List[int] = [1], padding: List[int] = [0], dilation: List[int] = [1], groups: int = 1) -> Tensor:
    """Convolution along one axis; the batch axis may be missing."""
    return general(input, weight, bias, stride, padding, dilation, False, [0], groups, 1)


@op("aten::conv2d")
def conv2d(input: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: List[int] = [1, 1], padding: List[int] = [0, 0], dilation: List[int] = [1, 1], groups: int = 1) -> Tensor:
    """Convolution along two axes; the batch axis may be missing."""
    return general(input, weight, bias, stride, padding, dilation, False, [0, 0], groups, 2)


@op("aten::conv3d")
def conv3d(input: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: List[int] = [1, 1, 1], padding: List[int] = [0, 0, 0], dilation: List[int] = [1, 1, 1], groups: int = 1) -> Tensor:
    """Convolution along three axes; the batch axis may be missing."""
    return general(input, weight, bias, stride, padding, dilation, False, [0, 0, 0], groups, 3)


@op("aten::conv1d.padding")
def conv1d_padding(input: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: List[int] = [1], padding: str = "valid", dilation: List[int] = [1], groups: int = 1) -> Tensor:
    """As conv1d, with padding "valid" or "same"."""
    return named_padding(input, weight, bias, stride, padding, dilation, groups, 1)


@op("aten::conv2d.padding")
def conv2d_padding(input: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: List[int] = [1, 1], padding: str = "valid", dilation: List[int] = [1, 1], groups: int = 1) -> Tensor:
    """As conv2d, with padding "valid" or "same"."""
    return named_padding(input, weight, bias, stride, padding, dilation, groups, 2)


@op("aten::conv3d.padding")
def conv3d_padding(input: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: List[int] = [1, 1, 1], padding: str = "valid", dilation: List[int] = [1, 1, 1], groups: int = 1) -> Tensor:
    """As conv3d, with padding "valid" or "same"."""
    return named_padding(input, weight, bias, stride, padding, dilation, groups, 3)


@op("aten::conv_transpose1d")
def conv_transpose1d(input: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: List[int] = [1], padding: List[int] = [0], output_padding: List[int] = [0], groups: int = 1, dilation: List[int] = [1]) -> Tensor:
    """Transposed convolution along one axis."""
    return general(input, weight, bias, stride, padding, dilation, True, output_padding, groups, 1)


@op("aten::conv_transpose2d.input")
def conv_transpose2d(input: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: List[int] = [1, 1], padding: List[int] = [0, 0], output_padding: List[int] = [0, 0], groups: int = 1, dilation: List[int] = [1, 1]) -> Tensor:
    """Transposed convolution along two axes."""
    return general(input, weight, bias, stride, padding, dilation, True, output_padding, groups, 2)


@op("aten::conv_transpose3d.input")
def conv_transpose3d(input: Tensor, weight: Tensor, bias: Optional[Tensor] = None, stride: List[int] = [1, 1, 1], padding: List[int] = [0, 0, 0], output_padding: List[int] = [0, 0, 0], groups: int = 1, dilation: List[int] = [1, 1, 1]) -> Tensor:
    """Transposed convolution along three axes."""
    return general(input, weight, bias, stride, padding, dilation, True, output_padding, groups, 3)


@op("aten::_convolution")
def convolution_with_flags(input: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: List[int], dilation: List[int], transposed: bool, output_padding: List[int], groups: int, benchmark: bool, deterministic: bool, cudnn_enabled: bool, allow_tf32: bool) -> Tensor:
    """The general convolution; the last flags choose among PyTorch's libraries."""
    return general(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, weight.dim() - 2)


@op("aten::_convolution.deprecated")
def convolution_with_old_flags(input: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: List[int], dilation: List[int], transposed: bool, output_padding: List[int], groups: int, benchmark: bool, deterministic: bool, cudnn_enabled: bool) -> Tensor:
    """The general convolution; the last flags choose among PyTorch's libraries."""
    return general(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, weight.dim() - 2)


@op("aten::_convolution_mode")
def convolution_mode(input: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: str, dilation: List[int], groups: int) -> Tensor:
    """The general convolution with padding "valid" or "same"."""
    return named_padding(input, weight, bias, stride, padding, dilation, groups, weight.dim() - 2)


def repeated(values: List[int], axes: int) -> List[int]:
    """One value stands for all axes."""
    return values * axes if len(values) == 1 else values


def general(input: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: List[int], dilation: List[int], transposed: bool, output_padding: List[int], groups: int, axes: int) -> Tensor:
    """The core operator, with PyTorch's checks and a batch axis where there is none."""
    if input.dim() != axes + 2 and input.dim() != axes + 1:
        raise RuntimeError("Expected {}D (unbatched) or {}D (batched) input to conv{}d, but got input of size: {}".format(axes + 1, axes + 2, axes, input.shape))
    batched = input if input.dim() == axes + 2 else input.unsqueeze(0)
    if not transposed and batched.size(1) != weight.size(1) * groups:
        raise RuntimeError("Given groups={}, weight of size {}, expected input{} to have {} channels, but got {} channels instead".format(groups, weight.shape, batched.shape, weight.size(1) * groups, batched.size(1)))
    if transposed and batched.size(1) != weight.size(0):
        raise RuntimeError("Given transposed=1, weight of size {}, expected input{} to have {} channels, but got {} channels instead".format(weight.shape, batched.shape, weight.size(0), batched.size(1)))
    if transposed and axes == 3 and (input.dtype == torch.half or input.dtype == torch.bfloat16):
        out = transposed_in_steps(batched, weight, bias, repeated(stride, 3), repeated(padding, 3), repeated(dilation, 3), repeated(output_padding, 3), groups)
    else:
        out = torch.convolution(batched, weight, bias, repeated(stride, axes), repeated(padding, axes), repeated(dilation, axes), transposed, repeated(output_padding, axes), groups)
    return out if input.dim() == axes + 2 else out.squeeze(0)


def transposed_in_steps(input: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: List[int], dilation: List[int], output_padding: List[int], groups: int) -> Tensor:
    """The transposed convolution of 16-bit volumes: PyTorch adds what the kernel's elements give one by one, each sum rounded."""
    spread = [(input.size(2 + i) - 1) * stride[i] + 1 for i in range(3)]
    whole = [spread[i] + dilation[i] * (weight.size(2 + i) - 1) + output_padding[i] for i in range(3)]
    parts: List[Tensor] = []
    for group in range(groups):
        x = input.chunk(groups, 1)[group]
        kernel = weight.chunk(groups, 0)[group].transpose(0, 1)
        sums = torch.zeros([input.size(0), weight.size(1)] + whole, dtype=input.dtype)
        for i in range(weight.size(2)):
            for j in range(weight.size(3)):
                for k in range(weight.size(4)):
                    own = kernel[:, :, i:i + 1, j:j + 1, k:k + 1]
                    z, y, first = i * dilation[0], j * dilation[1], k * dilation[2]
                    place = sums[:, :, z:z + spread[0]:stride[0], y:y + spread[1]:stride[1], first:first + spread[2]:stride[2]]
                    place += torch.convolution(x, own, None, [1, 1, 1], [0, 0, 0], [1, 1, 1], False, [0, 0, 0], 1)
        parts.append(sums)
    out = torch.cat(parts, 1)
    for i in range(3):
        out = out.narrow(2 + i, padding[i], whole[i] - 2 * padding[i])
    return out if bias is None else out + bias.reshape([-1, 1, 1, 1])


def named_padding(input: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: str, dilation: List[int], groups: int, axes: int) -> Tensor:
    """Padding "valid" is none; "same" keeps the size: an odd border has its extra element at the end."""
    steps = repeated(dilation, axes)
    if padding == "valid":
        return general(input, weight, bias, stride, [0] * axes, dilation, False, [0] * axes, groups, axes)
    if padding != "same":
        raise RuntimeError("Invalid padding string: '{}'".format(padding))
    for s in stride:
        if s != 1:
            raise RuntimeError("padding='same' is not supported for strided convolutions")
    borders: List[int] = []
    even: List[int] = []
    symmetric = True
    for i in range(axes):
        total = steps[i] * (weight.size(2 + i) - 1)
        even.append(total // 2)
        borders = [total // 2, total - total // 2] + borders
        if total % 2 == 1:
            symmetric = False
    if symmetric:
        return general(input, weight, bias, stride, even, dilation, False, [0] * axes, groups, axes)
    padded = torch.constant_pad_nd(input, borders, 0)
    return general(padded, weight, bias, stride, [0] * axes, dilation, False, [0] * axes, groups, axes)
