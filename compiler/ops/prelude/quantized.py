"""Quantized tensors: making them, the numbers they stand for, and operators on them element by element.

The arithmetic is that of PyTorch's kernels for x86 (FBGEMM and the vectorised kernels of ATen), in binary32:
a number x becomes `round(x * (1 / scale)) + zero_point`, ties to even, clamped to the type.
"""


def lowest(dtype: int) -> int:
    """The least integer of a quantized type."""
    if dtype == torch.quint8:
        return 0
    return -128 if dtype == torch.qint8 else -2147483648


def highest(dtype: int) -> int:
    """The largest integer of a quantized type."""
    if dtype == torch.quint8:
        return 255
    return 127 if dtype == torch.qint8 else 2147483647


def stored(dtype: int) -> int:
    """The type of the integers."""
    if dtype == torch.quint8:
        return torch.uint8
    return torch.int8 if dtype == torch.qint8 else torch.int32


def inverse(scale: float) -> float:
    """1 / scale in binary32."""
    return torch.ops.kiln.single(1.0 / torch.ops.kiln.single(scale))


def rounded(x: Tensor, zero_point: int, low: int, high: int, dtype: int) -> Tensor:
    """Scaled numbers as integers between bounds."""
    whole = torch.round(x) if zero_point == 0 else torch.round(x) + zero_point
    return torch.clamp(whole, low, high).to(stored(dtype))


def quantized(x: Tensor, scale: float, zero_point: int, dtype: int) -> Tensor:
    """Numbers as a quantized tensor."""
    ints = rounded(x * inverse(scale), zero_point, lowest(dtype), highest(dtype), dtype)
    return torch._make_per_tensor_quantized_tensor(ints, scale, zero_point)


def check_float(x: Tensor) -> None:
    """Quantized tensors are made from binary32."""
    if x.dtype != torch.float:
        raise RuntimeError("Quantize only works on Float Tensor, got another element type")


@op("aten::quantize_per_tensor")
def quantize_per_tensor(self: Tensor, scale: float, zero_point: int, dtype: int) -> Tensor:
    """round(x / scale) + zero_point"""
    check_float(self)
    return quantized(self, scale, zero_point, dtype)


@op("aten::quantize_per_tensor.tensor_qparams")
def quantize_per_tensor_by_tensors(self: Tensor, scale: Tensor, zero_point: Tensor, dtype: int) -> Tensor:
    """round(x / scale) + zero_point"""
    check_float(self)
    return quantized(self, float(scale), int(zero_point), dtype)


def along(values: Tensor, rank: int, axis: int) -> Tensor:
    """One value for each index of an axis, to be broadcast over the others."""
    return values.reshape([1] * axis + [values.size(0)] + [1] * (rank - axis - 1))


@op("aten::quantize_per_channel")
def quantize_per_channel(self: Tensor, scales: Tensor, zero_points: Tensor, axis: int, dtype: int) -> Tensor:
    """round(x / scale) + zero_point, with one of each for each index of an axis"""
    check_float(self)
    inverses = along(1.0 / scales.to(torch.float), self.dim(), axis)
    zeros = along(zero_points, self.dim(), axis).to(torch.float)
    if zero_points.is_floating_point():
        ints = torch.clamp(torch.round(torch.ops.kiln.fma(self, inverses, zeros)), lowest(dtype), highest(dtype)).to(stored(dtype))
        return torch._make_per_channel_quantized_tensor(ints, scales.to(torch.double), zero_points.to(torch.float), axis)
    ints = torch.clamp(torch.round(self * inverses) + zeros, lowest(dtype), highest(dtype)).to(stored(dtype))
    return torch._make_per_channel_quantized_tensor(ints, scales.to(torch.double), zero_points.to(torch.long), axis)


@op("aten::dequantize.self", "aten::dequantize.tensor")
def dequantize(self: Tensor) -> Tensor:
    """(q - zero_point) * scale; a tensor of floats is taken as it is"""
    if not self.is_quantized:
        return self.to(torch.float)
    if torch.ops.kiln.is_per_channel(self):
        axis = torch.q_per_channel_axis(self)
        scales = along(torch.q_per_channel_scales(self), self.dim(), axis)
        if torch.q_per_channel_zero_points(self).is_floating_point():
            offsets = along(torch.q_per_channel_zero_points(self), self.dim(), axis)
            return (torch.int_repr(self).to(torch.float) - offsets) * scales.to(torch.float)
        zeros = along(torch.q_per_channel_zero_points(self), self.dim(), axis).to(torch.double)
        return ((torch.int_repr(self).to(torch.double) - zeros) * scales).to(torch.float)
    return (torch.int_repr(self).to(torch.float) - torch.q_zero_point(self)) * torch.ops.kiln.single(torch.q_scale(self))


@op("aten::dequantize.list", "aten::dequantize.tensors")
def dequantize_list(tensors: List[Tensor]) -> List[Tensor]:
    """Every tensor by itself"""
    return [torch.dequantize(t) for t in tensors]


def fused(q: Tensor) -> Tensor:
    """The numbers as the vectorised kernels compute them: scale * q - zero_point * scale, rounded once."""
    scale = torch.ops.kiln.single(torch.q_scale(q))
    return torch.ops.kiln.mul_add(torch.int_repr(q).to(torch.float), scale, torch.ops.kiln.single(-torch.q_zero_point(q) * scale))


@op("quantized::add")
def add(qa: Tensor, qb: Tensor, scale: float, zero_point: int) -> Tensor:
    """Sum of the numbers"""
    return quantized(fused(qa) + fused(qb), scale, zero_point, qa.dtype)


@op("quantized::add_relu")
def add_relu(qa: Tensor, qb: Tensor, scale: float, zero_point: int) -> Tensor:
    """Sum of the numbers, at least 0"""
    return quantized(torch.relu(fused(qa) + fused(qb)), scale, zero_point, qa.dtype)


def multiplied(qa: Tensor, qb: Tensor, scale: float, zero_point: int, low: int) -> Tensor:
    """Products of the integers, scaled once."""
    s = torch.ops.kiln.single
    factor = s(s(s(torch.q_scale(qa)) * s(torch.q_scale(qb))) * inverse(scale))
    a = torch.int_repr(qa).to(torch.float) - torch.q_zero_point(qa)
    b = torch.int_repr(qb).to(torch.float) - torch.q_zero_point(qb)
    ints = rounded(a * b * factor, zero_point, low, highest(qa.dtype), qa.dtype)
    return torch._make_per_tensor_quantized_tensor(ints, scale, zero_point)


@op("quantized::mul")
def mul(qa: Tensor, qb: Tensor, scale: float, zero_point: int) -> Tensor:
    """Product of the numbers"""
    return multiplied(qa, qb, scale, zero_point, lowest(qa.dtype))


@op("quantized::mul_relu")
def mul_relu(qa: Tensor, qb: Tensor, scale: float, zero_point: int) -> Tensor:
    """Product of the numbers, at least 0"""
    return multiplied(qa, qb, scale, zero_point, zero_point)


def requantized(q: Tensor, scale: float, zero_point: int, is_image: bool) -> Tensor:
    """The integers for another scale and zero point; channels of images are concatenated by a kernel of their own."""
    if torch.q_scale(q) == scale and torch.q_zero_point(q) == zero_point:
        return torch.int_repr(q)
    x = fused(q) if is_image else torch.dequantize(q)
    return rounded(x * inverse(scale), zero_point, lowest(q.dtype), highest(q.dtype), q.dtype)


@op("quantized::cat")
def cat(qx: List[Tensor], dim: int, scale: Optional[float], zero_point: Optional[int]) -> Tensor:
    """Concatenation, by default with the scale of the first tensor"""
    to_scale = torch.q_scale(qx[0]) if scale is None else scale
    to_zero = torch.q_zero_point(qx[0]) if zero_point is None else zero_point
    return torch._make_per_tensor_quantized_tensor(torch.cat([requantized(q, to_scale, to_zero, qx[0].dim() == 4 and dim == 1) for q in qx], dim), to_scale, to_zero)


@op("quantized::cat_relu")
def cat_relu(qx: List[Tensor], dim: int, scale: Optional[float], zero_point: Optional[int]) -> Tensor:
    """Concatenation, at least 0"""
    return torch.relu(torch.ops.quantized.cat(qx, dim, scale, zero_point))


def with_ints(q: Tensor, ints: Tensor) -> Tensor:
    """Other integers, standing for numbers in the same way."""
    return torch._make_per_tensor_quantized_tensor(ints, torch.q_scale(q), torch.q_zero_point(q))


@op("kiln::quantized_relu")
def relu(self: Tensor) -> Tensor:
    """No integer below the zero point"""
    zero = torch.q_zero_point(self)
    return with_ints(self, torch.clamp(torch.int_repr(self), zero, highest(self.dtype)))


def nearest(q: Tensor, x: number) -> int:
    """The integer that stands for a number."""
    value = torch.ops.kiln.rint(torch.ops.kiln.single(torch.ops.kiln.single(float(x)) * inverse(torch.q_scale(q)))) + torch.q_zero_point(q)
    return max(lowest(q.dtype), min(highest(q.dtype), int(value)))


@op("kiln::quantized_clamp")
def clamp(self: Tensor, min: Optional[number] = None, max: Optional[number] = None) -> Tensor:
    """Integers between those that stand for the bounds"""
    low = lowest(self.dtype) if min is None else nearest(self, min)
    high = highest(self.dtype) if max is None else nearest(self, max)
    return with_ints(self, torch.clamp(torch.int_repr(self), low, high))


@op("quantized::relu6")
def relu6(qx: Tensor, inplace: bool = False) -> Tensor:
    """Numbers between 0 and 6"""
    return torch.clamp(qx, 0, 6)


@op("quantized::hardswish")
def hardswish(input: Tensor, output_scale: float, output_zero_point: int) -> Tensor:
    """x * clamp(x + 3, 0, 6) / 6"""
    x = fused(input)
    return quantized(x * torch.clamp(x + 3.0, 0.0, 6.0) / 6.0, output_scale, output_zero_point, input.dtype)


@op("quantized::sigmoid")
def sigmoid(qx: Tensor, output_scale: float, output_zero_point: int) -> Tensor:
    """1 / (1 + e^-x)"""
    return quantized(torch.sigmoid(torch.dequantize(qx)), output_scale, output_zero_point, qx.dtype)


def unit_zero(dtype: int) -> int:
    """The zero point of results between 0 and 1, whose scale is 1/256."""
    return -128 if dtype == torch.qint8 else 0


@op("kiln::quantized_sigmoid")
def quantized_sigmoid(self: Tensor) -> Tensor:
    """1 / (1 + e^-x), with scale 1/256"""
    return torch.ops.quantized.sigmoid(self, 1.0 / 256.0, unit_zero(self.dtype))


@op("kiln::quantized_tanh")
def quantized_tanh(self: Tensor) -> Tensor:
    """Hyperbolic tangent, with scale 2/256"""
    return quantized(torch.tanh(fused(self)), 2.0 / 256.0, 128 if self.dtype == torch.quint8 else 0, self.dtype)


@op("kiln::quantized_hardsigmoid")
def quantized_hardsigmoid(self: Tensor) -> Tensor:
    """clamp(x + 3, 0, 6) / 6, with scale 1/256"""
    x = fused(self)
    return quantized(torch.clamp(x + 3.0, 0.0, 6.0) / 6.0, 1.0 / 256.0, unit_zero(self.dtype), self.dtype)


@op("quantized::leaky_relu")
def leaky_relu(qx: Tensor, negative_slope: number, inplace: bool, output_scale: float, output_zero_point: int) -> Tensor:
    """x where it is positive, else negative_slope * x"""
    return quantized(torch.leaky_relu(fused(qx), negative_slope), output_scale, output_zero_point, qx.dtype)


@op("kiln::quantized_leaky_relu")
def quantized_leaky_relu(self: Tensor, negative_slope: number) -> Tensor:
    """x where it is positive, else negative_slope * x"""
    return torch.ops.quantized.leaky_relu(self, negative_slope, False, torch.q_scale(self), torch.q_zero_point(self))


@op("quantized::elu")
def elu(self: Tensor, output_scale: float, output_zero_point: int, alpha: number = 1, scale: number = 1, input_scale: number = 1) -> Tensor:
    """elu of the numbers"""
    return quantized(torch.elu(fused(self), alpha, scale, input_scale), output_scale, output_zero_point, self.dtype)


@op("quantized::softmax")
def softmax(qx: Tensor, dim: int, output_scale: float, output_zero_point: int) -> Tensor:
    """softmax of the numbers"""
    return quantized(torch.softmax(torch.dequantize(qx), dim), output_scale, output_zero_point, qx.dtype)


@op("kiln::quantized_mean")
def mean(self: Tensor, dim: Optional[List[int]], keepdim: bool, dtype: Optional[int]) -> Tensor:
    """Mean of the numbers, with the same scale"""
    x = torch.dequantize(self).mean(dim, keepdim)
    return quantized(x, torch.q_scale(self), torch.q_zero_point(self), self.dtype)


@op("quantized::add_scalar", "quantized::add.Scalar")
def add_scalar(qa: Tensor, b: number) -> Tensor:
    """A number added to all: another zero point, and, where that leaves the type, another scale"""
    scale, low, high = torch.q_scale(qa), lowest(qa.dtype), highest(qa.dtype)
    steps = int(torch.ops.kiln.rint(float(b) / scale))
    zero = torch.q_zero_point(qa) - steps
    if zero >= low and zero <= high:
        return torch._make_per_tensor_quantized_tensor(torch.int_repr(qa), scale, zero)
    to_scale = (float(high) - zero) / (float(high) - low) * scale if zero < low else (float(zero) - low) / (float(high) - low) * scale
    to_zero = low if zero < low else high
    factor = torch.ops.kiln.single(torch.ops.kiln.single(scale) * inverse(to_scale))
    shifted = (torch.int_repr(qa).to(torch.int) - torch.q_zero_point(qa) + steps).to(torch.float)
    return torch._make_per_tensor_quantized_tensor(rounded(shifted * factor, to_zero, low, high, qa.dtype), to_scale, to_zero)


@op("quantized::add_scalar_relu", "quantized::add_relu.Scalar")
def add_scalar_relu(qa: Tensor, b: number) -> Tensor:
    """A number added to all, at least 0"""
    return torch.relu(torch.ops.quantized.add_scalar(qa, b))


@op("quantized::mul_scalar", "quantized::mul.Scalar")
def mul_scalar(qa: Tensor, b: number) -> Tensor:
    """All times a number: another scale"""
    factor, low, high = float(b), lowest(qa.dtype), highest(qa.dtype)
    ints = torch.int_repr(qa)
    if factor > 0.0:
        return torch._make_per_tensor_quantized_tensor(ints, factor * torch.q_scale(qa), torch.q_zero_point(qa))
    if factor == 0.0:
        return torch._make_per_tensor_quantized_tensor(torch.zeros_like(ints), 1.0, 0)
    mirrored = (high + low - ints.to(torch.int)).to(stored(qa.dtype))
    return torch._make_per_tensor_quantized_tensor(mirrored, -factor * torch.q_scale(qa), high - (torch.q_zero_point(qa) - low))


@op("quantized::mul_scalar_relu", "quantized::mul_relu.Scalar")
def mul_scalar_relu(qa: Tensor, b: number) -> Tensor:
    """All times a number, at least 0"""
    return torch.relu(torch.ops.quantized.mul_scalar(qa, b))


def normalised(qx: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], mean: Tensor, var: Tensor, eps: float, scale: float, zero_point: int, relu: bool) -> Tensor:
    """A batch norm of channels (axis 1) as one scale and shift of the integers."""
    deviation = (1.0 / torch.sqrt(var + torch.ops.kiln.single(eps)).to(torch.double)).to(torch.float)
    weighted = deviation if weight is None else deviation * weight
    alpha = (weighted.to(torch.double) * (torch.q_scale(qx) / scale)).to(torch.float)
    moved = mean * deviation if weight is None else mean * deviation * weight
    shift = -moved if bias is None else bias - moved
    beta = (shift.to(torch.double) / scale).to(torch.float)
    x = torch.int_repr(qx).to(torch.float) - torch.q_zero_point(qx)
    y = torch.ops.kiln.fma(along(alpha, qx.dim(), 1), x, along(beta, qx.dim(), 1))
    low = max(lowest(qx.dtype), zero_point) if relu else lowest(qx.dtype)
    return torch._make_per_tensor_quantized_tensor(rounded(y, zero_point, low, highest(qx.dtype), qx.dtype), scale, zero_point)


@op("quantized::batch_norm", "quantized::batch_norm1d", "quantized::batch_norm2d", "quantized::batch_norm3d", "aten::quantized_batch_norm")
def batch_norm(qx: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], mean: Tensor, var: Tensor, eps: float, output_scale: float, output_zero_point: int) -> Tensor:
    """Normalisation by running statistics"""
    return normalised(qx, weight, bias, mean, var, eps, output_scale, output_zero_point, False)


@op("quantized::batch_norm_relu", "quantized::batch_norm1d_relu", "quantized::batch_norm2d_relu", "quantized::batch_norm3d_relu")
def batch_norm_relu(qx: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], mean: Tensor, var: Tensor, eps: float, output_scale: float, output_zero_point: int) -> Tensor:
    """Normalisation by running statistics, at least 0"""
    return normalised(qx, weight, bias, mean, var, eps, output_scale, output_zero_point, True)


@op("aten::fake_quantize_per_tensor_affine")
def fake_quantize(self: Tensor, scale: float, zero_point: int, quant_min: int, quant_max: int) -> Tensor:
    """The numbers that quantized ones would stand for"""
    s = torch.ops.kiln.single(scale)
    ints = torch.clamp(torch.round(self * inverse(scale)) + zero_point, quant_min, quant_max)
    return (ints - zero_point) * s


@op("aten::fake_quantize_per_channel_affine")
def fake_quantize_per_channel(self: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int) -> Tensor:
    """The numbers that quantized ones would stand for, with one scale and zero point for each index of an axis"""
    scales = along(scale.to(torch.float), self.dim(), axis)
    zeros = along(zero_point, self.dim(), axis).to(torch.float)
    ints = torch.clamp(torch.round(self * (1.0 / scales)) + zeros, quant_min, quant_max)
    return (ints - zeros) * scales
