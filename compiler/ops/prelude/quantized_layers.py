"""Quantized layers: integer products with the scaling, bias and rounding of FBGEMM.

The products of integers without their zero points are summed exactly, in int32. The sum is then scaled once, in
binary32: `round((sum + bias / (x_scale * w_scale)) * (x_scale * w_scale / y_scale)) + zero_point`.
"""


def lowest(dtype: int) -> int:
    """The least integer of a quantized type."""
    return 0 if dtype == torch.quint8 else -128


def weight_scales(weight: Tensor) -> Tensor:
    """The scale of the weights: one, or one for each output channel."""
    if torch.ops.kiln.is_per_channel(weight):
        return torch.q_per_channel_scales(weight).to(torch.float)
    return torch.full([1], torch.q_scale(weight), dtype=torch.float)


def centred(weight: Tensor) -> Tensor:
    """The integers of weights without their zero points, in int8 where these are 0."""
    if torch.ops.kiln.is_per_channel(weight):
        zeros = torch.q_per_channel_zero_points(weight)
        if bool((zeros == 0).all()):
            return torch.int_repr(weight)
        shape = [1] * weight.dim()
        axis = torch.q_per_channel_axis(weight)
        shape[axis] = weight.size(axis)
        return torch.int_repr(weight).to(torch.int) - zeros.to(torch.int).reshape(shape)
    if torch.q_zero_point(weight) == 0:
        return torch.int_repr(weight)
    return torch.int_repr(weight).to(torch.int) - torch.q_zero_point(weight)


def requantized(sums: Tensor, x: Tensor, weight: Tensor, bias: Optional[Tensor], scale: float, zero_point: int, relu: bool, axes: int) -> Tensor:
    """Sums of products as a quantized tensor; `axes` follow that of the output channels."""
    s = torch.ops.kiln.single
    scales = weight_scales(weight) * s(torch.q_scale(x))
    shape = [-1] + [1] * axes
    y = sums.to(torch.float)
    if bias is not None:
        y = y + (bias / scales).reshape(shape)
    y = y * (scales / s(scale)).reshape(shape)
    low = max(zero_point, lowest(x.dtype)) if relu else lowest(x.dtype)
    high = 255 if x.dtype == torch.quint8 else 127
    whole = torch.round(y) if zero_point == 0 else torch.round(y) + zero_point
    ints = torch.clamp(whole, low, high).to(torch.uint8 if x.dtype == torch.quint8 else torch.int8)
    return torch._make_per_tensor_quantized_tensor(ints, scale, zero_point)


def convolved(x: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: List[int], output_padding: List[int], dilation: List[int], groups: int, transposed: bool, scale: float, zero_point: int, relu: bool) -> Tensor:
    """A convolution along as many axes as the weights have."""
    axes = weight.dim() - 2
    sums = torch.ops.kiln.conv_int8(torch.int_repr(x), centred(weight), torch.q_zero_point(x), stride, padding, dilation, transposed, output_padding, groups)
    return requantized(sums, x, weight, bias, scale, zero_point, relu, axes)


def convolution(x: Tensor, packed: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, scale: float, zero_point: int, relu: bool) -> Tensor:
    """A convolution of images."""
    weight, bias = torch.ops.quantized.conv2d_unpack(packed)
    stride = torch.ops.quantized.conv2d_stride(packed)
    padding = torch.ops.quantized.conv2d_padding(packed)
    output_padding = torch.ops.quantized.conv2d_output_padding(packed)
    dilation = torch.ops.quantized.conv2d_dilation(packed)
    transposed = bool(torch.ops.quantized.conv2d_transpose(packed))
    return convolved(x, weight, bias, stride, padding, output_padding, dilation, torch.ops.quantized.conv2d_groups(packed), transposed, scale, zero_point, relu)


@op("quantized::conv2d.new", "quantized::conv_transpose2d")
def conv2d(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of images, transposed where the packed weights are"""
    return convolution(qx, packed_weight, output_scale, output_zero_point, False)


@op("quantized::conv2d_relu.new")
def conv2d_relu(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of images, at least 0"""
    return convolution(qx, packed_weight, output_scale, output_zero_point, True)


def convolution1d(x: Tensor, packed: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, scale: float, zero_point: int, relu: bool) -> Tensor:
    """A convolution of sequences: PyTorch packs it as one of images of height 1."""
    weight, bias = torch.ops.quantized.conv2d_unpack(packed)
    stride = torch.ops.quantized.conv2d_stride(packed)
    padding = torch.ops.quantized.conv2d_padding(packed)
    dilation = torch.ops.quantized.conv2d_dilation(packed)
    groups = torch.ops.quantized.conv2d_groups(packed)
    images = x.unsqueeze(2)
    filters = weight if weight.dim() == 4 else weight.unsqueeze(2)
    y = convolved(images, filters, bias, [1, stride[-1]], [0, padding[-1]], [0, 0], [1, dilation[-1]], groups, False, scale, zero_point, relu)
    return y.squeeze(2)


@op("quantized::conv1d")
def conv1d(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of sequences"""
    return convolution1d(qx, packed_weight, output_scale, output_zero_point, False)


@op("quantized::conv1d_relu")
def conv1d_relu(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of sequences, at least 0"""
    return convolution1d(qx, packed_weight, output_scale, output_zero_point, True)


def convolution3d(x: Tensor, packed: __torch__.torch.classes.quantized.Conv3dPackedParamsBase, scale: float, zero_point: int, relu: bool) -> Tensor:
    """A convolution of volumes."""
    weight, bias = torch.ops.quantized.conv3d_unpack(packed)
    stride = torch.ops.quantized.conv3d_stride(packed)
    padding = torch.ops.quantized.conv3d_padding(packed)
    output_padding = torch.ops.quantized.conv3d_output_padding(packed)
    dilation = torch.ops.quantized.conv3d_dilation(packed)
    transposed = bool(torch.ops.quantized.conv3d_transpose(packed))
    return convolved(x, weight, bias, stride, padding, output_padding, dilation, torch.ops.quantized.conv3d_groups(packed), transposed, scale, zero_point, relu)


@op("quantized::conv3d.new", "quantized::conv_transpose3d")
def conv3d(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv3dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of volumes, transposed where the packed weights are"""
    return convolution3d(qx, packed_weight, output_scale, output_zero_point, False)


@op("quantized::conv3d_relu.new")
def conv3d_relu(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv3dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of volumes, at least 0"""
    return convolution3d(qx, packed_weight, output_scale, output_zero_point, True)


def products(ints: Tensor, zero_point: int, weight: Tensor) -> Tensor:
    """Sums of products of rows with weights, over the last axis."""
    rows = ints.reshape([-1, ints.size(-1)])
    sums = torch.ops.kiln.mm_int8(rows, centred(weight).t(), zero_point)
    return sums.reshape(ints.shape[:-1] + [weight.size(0)])


@op("quantized::linear")
def linear(X: Tensor, W_prepack: __torch__.torch.classes.quantized.LinearPackedParamsBase, Y_scale_i: float, Y_zero_point_i: int) -> Tensor:
    """x @ weight.T + bias"""
    weight, bias = torch.ops.quantized.linear_unpack(W_prepack)
    return requantized(products(torch.int_repr(X), torch.q_zero_point(X), weight), X, weight, bias, Y_scale_i, Y_zero_point_i, False, 0)


@op("quantized::linear_relu")
def linear_relu(X: Tensor, W_prepack: __torch__.torch.classes.quantized.LinearPackedParamsBase, Y_scale_i: float, Y_zero_point_i: int) -> Tensor:
    """x @ weight.T + bias, at least 0"""
    weight, bias = torch.ops.quantized.linear_unpack(W_prepack)
    return requantized(products(torch.int_repr(X), torch.q_zero_point(X), weight), X, weight, bias, Y_scale_i, Y_zero_point_i, True, 0)


def means(sums: Tensor, count: int, q: Tensor) -> Tensor:
    """Sums of integers without their zero points as means, with the scale of `q`."""
    ints = torch.clamp(torch.round(sums * torch.ops.kiln.single(1.0 / float(count))) + torch.q_zero_point(q), lowest(q.dtype), 255 if q.dtype == torch.quint8 else 127)
    return torch._make_per_tensor_quantized_tensor(ints.to(torch.uint8 if q.dtype == torch.quint8 else torch.int8), torch.q_scale(q), torch.q_zero_point(q))


@op("kiln::quantized_adaptive_avg_pool2d")
def adaptive_avg_pool2d(self: Tensor, output_size: List[int]) -> Tensor:
    """Means over windows that share the image among the given number of outputs"""
    height, width = self.size(-2), self.size(-1)
    out_h, out_w = output_size[0], output_size[1]
    if height % out_h != 0 or width % out_w != 0:
        raise NotImplementedError("kiln: adaptive_avg_pool2d of a quantized tensor to windows of several sizes")
    centred_ints = torch.int_repr(self).to(torch.float) - torch.q_zero_point(self)
    if out_h == 1 and out_w == 1:
        return means(centred_ints.sum([-2, -1], True), height * width, self)
    kernel = [height // out_h, width // out_w]
    mean = torch.avg_pool2d(centred_ints, kernel, kernel, [0, 0], False, True, 1)
    return means(mean, kernel[0] * kernel[1], self)


@op("kiln::quantized_avg_pool2d")
def avg_pool2d(self: Tensor, kernel_size: List[int], stride: List[int], padding: List[int], ceil_mode: bool, count_include_pad: bool, divisor_override: Optional[int]) -> Tensor:
    """Means over windows"""
    centred_ints = torch.int_repr(self).to(torch.float) - torch.q_zero_point(self)
    mean = torch.avg_pool2d(centred_ints, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    ints = torch.clamp(torch.round(mean) + torch.q_zero_point(self), lowest(self.dtype), 255 if self.dtype == torch.quint8 else 127)
    return torch._make_per_tensor_quantized_tensor(ints.to(torch.uint8 if self.dtype == torch.quint8 else torch.int8), torch.q_scale(self), torch.q_zero_point(self))


@op("kiln::quantized_upsample_bilinear2d")
def upsample_bilinear2d(self: Tensor, output_size: Optional[List[int]], align_corners: bool, scale_factors: Optional[List[float]]) -> Tensor:
    """Resized images, with the same scale"""
    centred_ints = torch.int_repr(self).to(torch.float) - torch.q_zero_point(self)
    y = torch.upsample_bilinear2d(centred_ints, output_size, align_corners, scale_factors)
    ints = torch.clamp(torch.round(y) + torch.q_zero_point(self), lowest(self.dtype), 255 if self.dtype == torch.quint8 else 127)
    return torch._make_per_tensor_quantized_tensor(ints.to(torch.uint8 if self.dtype == torch.quint8 else torch.int8), torch.q_scale(self), torch.q_zero_point(self))
