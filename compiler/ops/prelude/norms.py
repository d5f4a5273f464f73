"""Norms and distances."""


def widened(self: Tensor, dtype: Optional[int]) -> Tensor:
    """16-bit floats in binary32, or the type asked for."""
    if dtype is not None:
        return self.to(dtype)
    return self.to(torch.float) if self.dtype == torch.half or self.dtype == torch.bfloat16 else self


def vector_norm(x: Tensor, p: float, dim: List[int], keepdim: bool) -> Tensor:
    """The p-norm over axes (none: all), in the type of x."""
    a = torch.abs(x)
    if p == 2.0:
        return torch.sqrt((x * x).sum(dim, keepdim))
    if p == 1.0:
        return a.sum(dim, keepdim)
    if p == 0.0:
        return (x != 0).to(x.dtype).sum(dim, keepdim)
    if p == float("inf"):
        return a.amax(dim, keepdim)
    if p == -float("inf"):
        return a.amin(dim, keepdim)
    return torch.pow(torch.pow(a, p).sum(dim, keepdim), 1.0 / p)


def axes_of(dim: Optional[List[int]]) -> List[int]:
    """The axes given; none given stands for all."""
    out: List[int] = []
    if dim is not None:
        for d in dim:
            out.append(d)
    return out


@op("aten::linalg_vector_norm")
def linalg_vector_norm(self: Tensor, ord: number = 2, dim: Optional[List[int]] = None, keepdim: bool = False, *, dtype: Optional[int] = None) -> Tensor:
    """(sum of |self|^ord)^(1/ord) over axes"""
    if not self.is_floating_point():
        raise RuntimeError("linalg.vector_norm: Expected a floating point or complex tensor as input. Got {}".format(self.dtype))
    out = vector_norm(widened(self, dtype), float(ord), axes_of(dim), keepdim)
    return out.to(self.dtype if dtype is None else dtype)


def order_of(p: Optional[number]) -> float:
    """The order of a norm, which is 2 where none is given."""
    if p is None:
        return 2.0
    return float(p)


@op("aten::norm.ScalarOpt_dim")
def norm_dim(self: Tensor, p: Optional[number], dim: List[int], keepdim: bool = False) -> Tensor:
    """The p-norm over axes."""
    return torch.linalg_vector_norm(self, order_of(p), dim, keepdim)


@op("aten::norm.ScalarOpt_dim_dtype")
def norm_dim_dtype(self: Tensor, p: Optional[number], dim: List[int], keepdim: bool, *, dtype: int) -> Tensor:
    """The p-norm over axes in another type."""
    return torch.linalg_vector_norm(self, order_of(p), dim, keepdim, dtype=dtype)


@op("aten::norm.Scalar")
def norm(self: Tensor, p: number = 2) -> Tensor:
    """The p-norm of all elements."""
    return torch.linalg_vector_norm(self, float(p))


@op("aten::norm.ScalarOpt_dtype")
def norm_dtype(self: Tensor, p: Optional[number], *, dtype: int) -> Tensor:
    """The p-norm of all elements in another type."""
    return torch.linalg_vector_norm(self, order_of(p), None, False, dtype=dtype)


@op("aten::frobenius_norm.dim")
def frobenius_norm(self: Tensor, dim: List[int], keepdim: bool = False) -> Tensor:
    """The square root of the sum of squares over axes."""
    return torch.linalg_vector_norm(self, 2.0, dim, keepdim)


@op("aten::nuclear_norm")
def nuclear_norm(self: Tensor, keepdim: bool = False) -> Tensor:
    """The sum of the singular values."""
    return torch.linalg_matrix_norm(self, "nuc", [0, 1], keepdim)


@op("aten::nuclear_norm.dim")
def nuclear_norm_dim(self: Tensor, dim: List[int], keepdim: bool = False) -> Tensor:
    """The sum of the singular values of matrices in two axes."""
    return torch.linalg_matrix_norm(self, "nuc", dim, keepdim)


def two_axes(self: Tensor, dim: List[int]) -> List[int]:
    """The axes of matrices, counted from the front."""
    if len(dim) != 2:
        raise RuntimeError("linalg.matrix_norm: dim must be a 2-tuple. Got {}".format(dim))
    if self.dim() < 2:
        raise RuntimeError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    a = dim[0] + self.dim() if dim[0] < 0 else dim[0]
    b = dim[1] + self.dim() if dim[1] < 0 else dim[1]
    if a == b:
        raise RuntimeError("linalg.matrix_norm: dims must be different. Got ({}, {})".format(dim[0], dim[1]))
    return [a, b]


def singular_values(x: Tensor, axes: List[int], keepdim: bool) -> Tensor:
    """Singular values of the matrices in two axes, as a last axis; with keepdim both axes are kept before it."""
    values = torch.linalg_svdvals(torch.movedim(x, axes, [-2, -1]))
    if not keepdim:
        return values
    shape: List[int] = []
    for i in range(x.dim()):
        shape.append(1 if i == axes[0] or i == axes[1] else x.size(i))
    return values.reshape(shape + [values.size(-1)])


@op("aten::linalg_matrix_norm")
def matrix_norm(self: Tensor, ord: number, dim: List[int] = [-2, -1], keepdim: bool = False, *, dtype: Optional[int] = None) -> Tensor:
    """Norms of matrices: sums of rows or columns, or singular values."""
    axes = two_axes(self, dim)
    x = widened(self, dtype)
    out_dtype = self.dtype if dtype is None else dtype
    p = float(ord)
    size = abs(p)
    if size == 2.0:
        values = singular_values(x, axes, keepdim)
        return (values.amax([-1]) if p > 0.0 else values.amin([-1])).to(out_dtype)
    if size != 1.0 and size != float("inf"):
        raise RuntimeError("linalg.matrix_norm: Order {} not supported.".format(ord))
    summed = axes[0] if size == 1.0 else axes[1]
    other = axes[1] if size == 1.0 else axes[0]
    sums = torch.abs(x).sum([summed], True)
    best = sums.amax([other], True) if p > 0.0 else sums.amin([other], True)
    return (best if keepdim else best.sum(axes)).to(out_dtype)


@op("aten::linalg_matrix_norm.str_ord")
def matrix_norm_named(self: Tensor, ord: str = "fro", dim: List[int] = [-2, -1], keepdim: bool = False, *, dtype: Optional[int] = None) -> Tensor:
    """The Frobenius or the nuclear norm of matrices."""
    axes = two_axes(self, dim)
    if ord == "fro":
        return torch.linalg_vector_norm(self, 2.0, axes, keepdim, dtype=dtype)
    if ord != "nuc":
        raise RuntimeError("linalg.matrix_norm: Order {} not supported.".format(ord))
    x = widened(self, dtype)
    return singular_values(x, axes, keepdim).sum([-1]).to(self.dtype if dtype is None else dtype)


@op("aten::linalg_norm")
def linalg_norm(self: Tensor, ord: Optional[number] = None, dim: Optional[List[int]] = None, keepdim: bool = False, *, dtype: Optional[int] = None) -> Tensor:
    """A norm of vectors or matrices, by the number of axes."""
    if ord is None:
        if dim is not None:
            return torch.linalg_vector_norm(self, 2.0, dim, keepdim, dtype=dtype)
        out = torch.linalg_vector_norm(self.reshape([-1]), 2.0, None, False, dtype=dtype)
        return out.reshape([1] * self.dim()) if keepdim else out
    if dim is not None:
        if len(dim) == 1:
            return torch.linalg_vector_norm(self, ord, dim, keepdim, dtype=dtype)
        return torch.linalg_matrix_norm(self, ord, dim, keepdim, dtype=dtype)
    if self.dim() == 1:
        return torch.linalg_vector_norm(self, ord, [0], keepdim, dtype=dtype)
    if self.dim() != 2:
        raise RuntimeError("linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {}D.".format(self.dim()))
    return torch.linalg_matrix_norm(self, ord, [0, 1], keepdim, dtype=dtype)


@op("aten::linalg_norm.ord_str")
def linalg_norm_named(self: Tensor, ord: str, dim: Optional[List[int]] = None, keepdim: bool = False, *, dtype: Optional[int] = None) -> Tensor:
    """The Frobenius or the nuclear norm of matrices."""
    if dim is not None:
        return torch.linalg_matrix_norm(self, ord, dim, keepdim, dtype=dtype)
    if self.dim() != 2:
        raise RuntimeError("linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {}D.".format(self.dim()))
    return torch.linalg_matrix_norm(self, ord, [0, 1], keepdim, dtype=dtype)


@op("aten::dist")
def dist(self: Tensor, other: Tensor, p: number = 2) -> Tensor:
    """The p-norm of self - other."""
    return torch.linalg_vector_norm(self - other, float(p))


def distances(d: Tensor, p: float) -> Tensor:
    """The p-norm along the last axis; that of no elements is 0."""
    if d.size(-1) == 0:
        return d.sum([-1])
    return vector_norm(d, p, [-1], False)


@op("aten::cdist")
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Optional[int] = None) -> Tensor:
    """Distances of all rows of x1 from all rows of x2."""
    if x1.dim() < 2 or x2.dim() < 2:
        raise RuntimeError("cdist only supports at least 2D tensors, X1 got: {}D".format(min(x1.dim(), x2.dim())))
    if x1.size(-1) != x2.size(-1):
        raise RuntimeError("X1 and X2 must have the same number of columns. X1: {} X2: {}".format(x1.size(-1), x2.size(-1)))
    if p < 0.0:
        raise RuntimeError("cdist only supports non-negative p values")
    return distances(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


@op("aten::pdist")
def pdist(self: Tensor, p: float = 2.0) -> Tensor:
    """Distances of each row from all later ones, flat."""
    if self.dim() != 2:
        raise RuntimeError("pdist only supports 2D tensors, got: {}D".format(self.dim()))
    if p < 0.0:
        raise RuntimeError("pdist only supports non-negative p values")
    n = self.size(0)
    if n <= 1:
        return torch.empty([0], dtype=self.dtype)
    places = torch.combinations(torch.arange(n), 2)
    a = self.index_select(0, places.select(1, 0))
    b = self.index_select(0, places.select(1, 1))
    return distances(a - b, p)


@op("aten::renorm")
def renorm(self: Tensor, p: number, dim: int, maxnorm: number) -> Tensor:
    """Slices of an axis whose p-norm is larger than maxnorm, scaled down to it."""
    if self.dim() < 2:
        raise RuntimeError("renorm: input needs at least 2 dimensions, got {} dimensions".format(self.dim()))
    axis = dim + self.dim() if dim < 0 else dim
    others: List[int] = []
    for i in range(self.dim()):
        if i != axis:
            others.append(i)
    x = widened(self, None)
    norm = vector_norm(x, float(p), others, True)
    factor = torch.where(norm > maxnorm, maxnorm / (norm + 1e-07), torch.ones_like(norm))
    return (x * factor).to(self.dtype)


@op("aten::linalg_cross")
def linalg_cross(self: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The product of vectors of three elements that is orthogonal to both."""
    if self.dim() != other.dim():
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    if self.size(dim) != 3 or other.size(dim) != 3:
        raise RuntimeError("linalg.cross: inputs dimension {} must have length 3. Got {} and {}".format(dim, self.size(dim), other.size(dim)))
    a = self.roll([-1], [dim]) * other.roll([-2], [dim])
    return a - self.roll([-2], [dim]) * other.roll([-1], [dim])


@op("aten::cross")
def cross(self: Tensor, other: Tensor, dim: Optional[int] = None) -> Tensor:
    """linalg_cross along an axis, or along the first one of size 3."""
    if dim is not None:
        return torch.linalg_cross(self, other, dim=dim)
    axis = -1
    for i in range(self.dim()):
        if axis < 0 and self.size(i) == 3:
            axis = i
    if axis < 0:
        raise RuntimeError("no dimension of size 3 in input")
    return torch.linalg_cross(self, other, dim=axis)


@op("aten::linalg_vecdot")
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Sums of products along an axis."""
    return (x * y).sum([dim])
