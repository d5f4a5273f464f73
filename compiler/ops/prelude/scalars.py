"""Operators on numbers, and in-place forms that do not follow from an operator of the same name."""


@op("aten::divmod.int")
def divmod_int(x: int, y: int) -> Tuple[int, int]:
    """x // y and x % y"""
    if y == 0:
        raise RuntimeError("ZeroDivisionError: integer division or modulo by zero")
    return x // y, x % y


@op("aten::divmod.float")
def divmod_float(x: float, y: float) -> Tuple[float, float]:
    """x // y and x % y"""
    if y == 0.0:
        raise RuntimeError("ZeroDivisionError: float divmod()")
    return x // y, x % y


@op("aten::divmod.int_float")
def divmod_int_float(x: int, y: float) -> Tuple[float, float]:
    """x // y and x % y"""
    return divmod_float(float(x), y)


@op("aten::divmod.float_int")
def divmod_float_int(x: float, y: int) -> Tuple[float, float]:
    """x // y and x % y"""
    return divmod_float(x, float(y))


@op("aten::_no_grad_fill_")
def no_grad_fill(tensor: Tensor, val: float) -> Tensor:
    """tensor.fill_(val)"""
    tensor.fill_(val)
    return tensor


@op("aten::_no_grad_zero_")
def no_grad_zero(tensor: Tensor) -> Tensor:
    """tensor.zero_()"""
    tensor.zero_()
    return tensor


@op("aten::linspace.out")
def linspace_out(start: number, end: number, steps: int, *, out: Tensor) -> Tensor:
    """out = linspace(start, end, steps)"""
    if out.dim() != 1 or out.size(0) != steps:
        raise NotImplementedError("kiln: an `out=` tensor of other sizes than the result")
    out.copy_(torch.linspace(start, end, steps, dtype=out.dtype))
    return out


@op("aten::logspace.out")
def logspace_out(start: number, end: number, steps: int, base: float = 10.0, *, out: Tensor) -> Tensor:
    """out = logspace(start, end, steps, base)"""
    if out.dim() != 1 or out.size(0) != steps:
        raise NotImplementedError("kiln: an `out=` tensor of other sizes than the result")
    out.copy_(torch.logspace(start, end, steps, base, dtype=out.dtype))
    return out


@op("aten::rrelu_with_noise")
def rrelu_with_noise(self: Tensor, noise: Tensor, lower: number = 0.125, upper: number = 0.3333333333333333, training: bool = False, generator: Optional[Generator] = None) -> Tensor:
    """leaky_relu with the mean of both slopes"""
    if training:
        raise NotImplementedError("kiln: rrelu in training mode, which is random")
    return torch.leaky_relu(self, (float(lower) + float(upper)) / 2.0)
