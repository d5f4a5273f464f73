"""Comparisons of whole tensors."""


@op("aten::isclose")
def isclose(self: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """|self - other| <= atol + rtol * |other|, or both equal"""
    if self.dtype != other.dtype:
        raise RuntimeError("{} did not match {}".format(self.dtype, other.dtype))
    if rtol < 0.0 or atol < 0.0:
        raise RuntimeError("rtol and atol must be greater than or equal to zero")
    close = self == other
    if equal_nan and self.is_floating_point():
        close = torch.logical_or(close, torch.logical_and(torch.isnan(self), torch.isnan(other)))
    if rtol == 0.0 and atol == 0.0:
        return close
    if self.is_floating_point():
        distance = torch.abs(self - other)
        allowed = atol + torch.abs(rtol * other)
    elif self.dtype == torch.bool:
        distance = torch.logical_xor(self, other).to(torch.float)
        allowed = atol + torch.abs(rtol * other.to(torch.float))
    else:
        distance = torch.abs(self - other).to(torch.float)
        allowed = atol + torch.abs(rtol * other.to(torch.float))
    return torch.logical_or(close, torch.logical_and(torch.isfinite(distance), distance <= allowed))


@op("aten::allclose")
def allclose(self: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether isclose holds for all elements."""
    return bool(torch.isclose(self, other, rtol, atol, equal_nan).all())


@op("aten::equal")
def equal(self: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and elements."""
    if self.dtype != other.dtype:
        raise RuntimeError("Expected object of data type {} but got data type {} for argument 'other' in call to equal".format(self.dtype, other.dtype))
    if self.dim() != other.dim():
        return False
    for i in range(self.dim()):
        if self.size(i) != other.size(i):
            return False
    return bool((self == other).all())


@op("aten::isin.Tensor_Tensor")
def isin(elements: Tensor, test_elements: Tensor, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among others."""
    found = (elements.unsqueeze(-1) == test_elements.reshape([-1])).any(-1)
    return torch.logical_not(found) if invert else found


@op("aten::isin.Tensor_Scalar")
def isin_scalar(elements: Tensor, test_element: number, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is a number."""
    return elements != test_element if invert else elements == test_element


@op("aten::gradient.scalarint")
def gradient(self: Tensor, *, spacing: Optional[number] = None, dim: Optional[int] = None, edge_order: int = 1) -> List[Tensor]:
    """Difference quotients along axes, at equal distances."""
    axes: List[int] = []
    if dim is None:
        for i in range(self.dim()):
            axes.append(i)
    else:
        axes.append(dim)
    h = 1.0
    if spacing is not None:
        h = float(spacing)
    if edge_order != 1 and edge_order != 2:
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    x = self if self.is_floating_point() else self.to(torch.float)
    out: List[Tensor] = []
    for axis in axes:
        n = x.size(axis)
        if n < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
        inner = (torch.slice(x, axis, 2, n, 1) - torch.slice(x, axis, 0, n - 2, 1)) / (2.0 * h)
        a = torch.slice(x, axis, 0, 1, 1)
        b = torch.slice(x, axis, 1, 2, 1)
        y = torch.slice(x, axis, n - 2, n - 1, 1)
        z = torch.slice(x, axis, n - 1, n, 1)
        first = (b - a) / h
        last = (z - y) / h
        if edge_order == 2:
            c = torch.slice(x, axis, 2, 3, 1)
            w = torch.slice(x, axis, n - 3, n - 2, 1)
            first = (-1.5 * a + 2.0 * b - 0.5 * c) / h
            last = (0.5 * w - 2.0 * y + 1.5 * z) / h
        out.append(torch.cat([first, inner, last], axis))
    return out
