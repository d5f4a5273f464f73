"""Operators of elements as compositions of core ones."""


@op("aten::square")
def square(self: Tensor) -> Tensor:
    """self * self"""
    return torch.pow(self, 2)


@op("aten::float_power.Tensor_Tensor")
def float_power(self: Tensor, exponent: Tensor) -> Tensor:
    """self ** exponent in binary64"""
    return torch.pow(self.to(torch.double), exponent.to(torch.double))


@op("aten::float_power.Tensor_Scalar")
def float_power_scalar(self: Tensor, exponent: number) -> Tensor:
    """self ** exponent in binary64"""
    return torch.pow(self.to(torch.double), exponent)


@op("aten::float_power.Scalar")
def float_power_of_scalar(self: number, exponent: Tensor) -> Tensor:
    """self ** exponent in binary64"""
    return torch.pow(self, exponent.to(torch.double))


@op("aten::mvlgamma", "aten::special_multigammaln")
def mvlgamma(self: Tensor, p: int) -> Tensor:
    """ln of the multivariate gamma function of dimension p"""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    x = self if self.is_floating_point() else self.to(torch.float)
    out = torch.zeros_like(x) + float(p * (p - 1)) * 0.2861824714623503
    for i in range(p):
        out = out + torch.lgamma(x - 0.5 * i)
    return out


@op("aten::polygamma_")
def polygamma_in_place(self: Tensor, n: int) -> Tensor:
    """self replaced by the derivative n of digamma"""
    self.copy_(torch.polygamma(n, self))
    return self


@op("aten::glu")
def glu(self: Tensor, dim: int = -1) -> Tensor:
    """the first half of an axis times the sigmoid of the second"""
    if self.dim() == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    size = self.size(dim)
    if size % 2 != 0:
        raise RuntimeError("Halving dimension must be even, but dimension {} is size {}".format(dim, size))
    half = size // 2
    return torch.slice(self, dim, 0, half, 1) * torch.sigmoid(torch.slice(self, dim, half, size, 1))


@op("aten::rrelu")
def rrelu(self: Tensor, lower: number = 0.125, upper: number = 0.33333333333333331, training: bool = False, generator: Optional[Generator] = None) -> Tensor:
    """leaky_relu with the mean of the bounds as slope"""
    if training:
        # Its result is random, which no entry gives.
        return torch.ops.aten.rrelu_with_noise(self, torch.zeros_like(self), lower, upper, training)
    return torch.leaky_relu(self, (float(lower) + float(upper)) / 2.0)


@op("aten::log_sigmoid_forward")
def log_sigmoid_forward(self: Tensor) -> Tuple[Tensor, Tensor]:
    """log_sigmoid and what its gradient needs"""
    return torch.log_sigmoid(self), torch.exp(-torch.abs(self))


@op("aten::native_dropout_backward")
def native_dropout_backward(grad_output: Tensor, mask: Tensor, scale: float) -> Tensor:
    """the gradient of dropout"""
    return grad_output * (mask.to(grad_output.dtype) * scale)


@op("aten::linspace.Tensor_Tensor")
def linspace_tensors(start: Tensor, end: Tensor, steps: int, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """steps numbers from start to end"""
    return spaced(start, end, steps, torch.float if dtype is None else dtype)


@op("aten::linspace.Tensor_Scalar")
def linspace_tensor_scalar(start: Tensor, end: number, steps: int, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """steps numbers from start to end"""
    return spaced(start, torch.full([], float(end), dtype=torch.double), steps, torch.float if dtype is None else dtype)


@op("aten::linspace.Scalar_Tensor")
def linspace_scalar_tensor(start: number, end: Tensor, steps: int, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """steps numbers from start to end"""
    return spaced(torch.full([], float(start), dtype=torch.double), end, steps, torch.float if dtype is None else dtype)


def spaced(start: Tensor, end: Tensor, steps: int, dtype: int) -> Tensor:
    """Numbers from start to end, computed in binary64 from the nearer end."""
    if start.dim() != 0 or end.dim() != 0:
        raise RuntimeError("linspace only supports 0-dimensional start and end tensors")
    first = start.to(torch.double)
    last = end.to(torch.double)
    if steps == 1:
        return first.reshape([1]).to(dtype)
    places = torch.arange(steps)
    step = (last - first) / float(steps - 1)
    return torch.where(places < steps // 2, first + step * places, last - step * (steps - 1 - places)).to(dtype)


@op("aten::logspace.Tensor_Tensor")
def logspace_tensors(start: Tensor, end: Tensor, steps: int, base: float = 10.0, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """base to the power of steps numbers from start to end"""
    return torch.pow(base, spaced(start, end, steps, torch.double)).to(torch.float if dtype is None else dtype)


@op("aten::logspace.Tensor_Scalar")
def logspace_tensor_scalar(start: Tensor, end: number, steps: int, base: float = 10.0, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """base to the power of steps numbers from start to end"""
    return torch.pow(base, spaced(start, torch.full([], float(end), dtype=torch.double), steps, torch.double)).to(torch.float if dtype is None else dtype)


@op("aten::logspace.Scalar_Tensor")
def logspace_scalar_tensor(start: number, end: Tensor, steps: int, base: float = 10.0, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """base to the power of steps numbers from start to end"""
    return torch.pow(base, spaced(torch.full([], float(start), dtype=torch.double), end, steps, torch.double)).to(torch.float if dtype is None else dtype)


@op("aten::linalg_vander")
def vander(x: Tensor, *, N: Optional[int] = None) -> Tensor:
    """the powers 0 to N - 1 of each element"""
    base = (x.reshape([1]) if x.dim() == 0 else x).unsqueeze(-1)
    if not x.is_floating_point():
        base = base.to(torch.int64)
    count = base.size(-2) if N is None else N
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    columns = [torch.ones_like(base)]
    for i in range(count - 1):
        columns.append(columns[i] * base)
    return torch.cat(columns, -1)


@op("aten::pow_.Tensor")
def pow_in_place(self: Tensor, exponent: Tensor) -> Tensor:
    """self replaced by self ** exponent"""
    return torch.pow(self, exponent, out=self)


@op("aten::floor_divide_.Tensor")
def floor_divide_in_place(self: Tensor, other: Tensor) -> Tensor:
    """self replaced by self / other, rounded down"""
    return torch.floor_divide(self, other, out=self)


@op("aten::float_power_.Tensor")
def float_power_in_place(self: Tensor, exponent: Tensor) -> Tensor:
    """self, which must be of binary64, replaced by self ** exponent"""
    if self.dtype != torch.double:
        raise RuntimeError("the base given to float_power_ has dtype {} but the operation's result requires dtype Double".format(self.dtype))
    return torch.pow(self, exponent.to(torch.double), out=self)


@op("aten::ldexp_")
def ldexp_in_place(self: Tensor, other: Tensor) -> Tensor:
    """self replaced by self * 2^other"""
    return torch.ldexp(self, other, out=self)
