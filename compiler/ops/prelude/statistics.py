"""Sums, means, variances, norms and distances as compositions of core operators."""


def wide(x: Tensor) -> Tensor:
    """16-bit floats as binary32: what PyTorch accumulates them in."""
    return x.to(torch.float) if x.dtype == torch.half or x.dtype == torch.bfloat16 else x


def reduced_axes(rank: int, dim: Optional[List[int]]) -> List[int]:
    """The axes that a reduction is over: all, where none is named."""
    axes: List[int] = []
    if dim is None or len(dim) == 0:
        for i in range(rank):
            axes.append(i)
    else:
        for axis in dim:
            axes.append(axis + max(rank, 1) if axis < 0 else axis)
    return axes


def reduced_count(x: Tensor, axes: List[int]) -> int:
    """How many elements a reduction combines."""
    count = 1
    if x.dim() > 0:
        for axis in axes:
            count = count * x.size(axis)
    return count


def variance(self: Tensor, dim: Optional[List[int]], correction: Optional[number], keepdim: bool) -> Tensor:
    """The variance, accumulated in binary64 as PyTorch does."""
    if not self.is_floating_point():
        raise RuntimeError("std and var only support floating point and complex dtypes")
    x = self.to(torch.double)
    axes = reduced_axes(x.dim(), dim)
    count = float(reduced_count(x, axes))
    centred = x - x.mean(axes, True)
    off = 1.0 if correction is None else float(correction)
    total = (centred * centred).sum(axes, keepdim)
    freedom = max(count - off, 0.0)
    if freedom == 0.0:
        return total / torch.zeros_like(total)
    return total / freedom


@op("aten::var.correction")
def var_correction(self: Tensor, dim: Optional[List[int]] = None, *, correction: Optional[number] = None, keepdim: bool = False) -> Tensor:
    """sum((x - mean)^2) / (n - correction)"""
    return variance(self, dim, correction, keepdim).to(self.dtype)


@op("aten::var")
def var_all(self: Tensor, unbiased: bool = True) -> Tensor:
    """the variance of all elements"""
    return variance(self, None, 1 if unbiased else 0, False).to(self.dtype)


@op("aten::var.dim")
def var_dim(self: Tensor, dim: Optional[List[int]], unbiased: bool = True, keepdim: bool = False) -> Tensor:
    """the variance over axes"""
    return variance(self, dim, 1 if unbiased else 0, keepdim).to(self.dtype)


@op("aten::std.correction")
def std_correction(self: Tensor, dim: Optional[List[int]] = None, *, correction: Optional[number] = None, keepdim: bool = False) -> Tensor:
    """sqrt(var)"""
    return torch.sqrt(variance(self, dim, correction, keepdim)).to(self.dtype)


@op("aten::std")
def std_all(self: Tensor, unbiased: bool = True) -> Tensor:
    """the standard deviation of all elements"""
    return torch.sqrt(variance(self, None, 1 if unbiased else 0, False)).to(self.dtype)


@op("aten::std.dim")
def std_dim(self: Tensor, dim: Optional[List[int]], unbiased: bool = True, keepdim: bool = False) -> Tensor:
    """the standard deviation over axes"""
    return torch.sqrt(variance(self, dim, 1 if unbiased else 0, keepdim)).to(self.dtype)


@op("aten::var_mean.correction")
def var_mean_correction(self: Tensor, dim: Optional[List[int]] = None, *, correction: Optional[number] = None, keepdim: bool = False) -> Tuple[Tensor, Tensor]:
    """variance and mean over axes"""
    return variance(self, dim, correction, keepdim).to(self.dtype), self.mean(reduced_axes(self.dim(), dim), keepdim)


@op("aten::var_mean")
def var_mean_all(self: Tensor, unbiased: bool = True) -> Tuple[Tensor, Tensor]:
    """variance and mean of all elements"""
    return variance(self, None, 1 if unbiased else 0, False).to(self.dtype), self.mean()


@op("aten::var_mean.dim")
def var_mean_dim(self: Tensor, dim: Optional[List[int]], unbiased: bool = True, keepdim: bool = False) -> Tuple[Tensor, Tensor]:
    """variance and mean over axes"""
    return variance(self, dim, 1 if unbiased else 0, keepdim).to(self.dtype), self.mean(reduced_axes(self.dim(), dim), keepdim)


@op("aten::std_mean.correction")
def std_mean_correction(self: Tensor, dim: Optional[List[int]] = None, *, correction: Optional[number] = None, keepdim: bool = False) -> Tuple[Tensor, Tensor]:
    """standard deviation and mean over axes"""
    return torch.sqrt(variance(self, dim, correction, keepdim)).to(self.dtype), self.mean(reduced_axes(self.dim(), dim), keepdim)


@op("aten::std_mean")
def std_mean_all(self: Tensor, unbiased: bool = True) -> Tuple[Tensor, Tensor]:
    """standard deviation and mean of all elements"""
    return torch.sqrt(variance(self, None, 1 if unbiased else 0, False)).to(self.dtype), self.mean()


@op("aten::std_mean.dim")
def std_mean_dim(self: Tensor, dim: Optional[List[int]], unbiased: bool = True, keepdim: bool = False) -> Tuple[Tensor, Tensor]:
    """standard deviation and mean over axes"""
    return torch.sqrt(variance(self, dim, 1 if unbiased else 0, keepdim)).to(self.dtype), self.mean(reduced_axes(self.dim(), dim), keepdim)


@op("aten::logsumexp", "aten::special_logsumexp")
def logsumexp(self: Tensor, dim: List[int], keepdim: bool = False) -> Tensor:
    """ln(sum(e^x)), shifted by the largest element so that nothing overflows"""
    x = wide(self) if self.is_floating_point() else self.to(torch.float)
    axes = reduced_axes(x.dim(), dim)
    if reduced_count(x, axes) == 0:
        return torch.log(torch.sum(torch.exp(x), axes, keepdim)).to(self.dtype if self.is_floating_point() else torch.float)
    largest = x.amax(axes, True)
    shift = torch.where(torch.isinf(largest), torch.zeros_like(largest), largest)
    total = torch.exp(x - shift).sum(axes, True)
    out = torch.log(total) + shift
    if not keepdim:
        out = out.sum(axes)
    return out.to(self.dtype) if self.is_floating_point() else out


@op("aten::nansum")
def nansum(self: Tensor, dim: Optional[List[int]] = None, keepdim: bool = False, *, dtype: Optional[int] = None) -> Tensor:
    """the sum of what is not NaN"""
    clean = torch.where(torch.isnan(self), torch.zeros_like(self), self)
    return torch.sum(clean, reduced_axes(self.dim(), dim), keepdim, dtype=dtype)


@op("aten::nanmean")
def nanmean(self: Tensor, dim: Optional[List[int]] = None, keepdim: bool = False, *, dtype: Optional[int] = None) -> Tensor:
    """the mean of what is not NaN"""
    if not self.is_floating_point():
        raise RuntimeError("nanmean(): expected input to have floating point or complex dtype but got {}".format(self.dtype))
    axes = reduced_axes(self.dim(), dim)
    x = wide(self)
    count = torch.sum(torch.logical_not(torch.isnan(x)), axes, keepdim)
    return (torch.nansum(x, axes, keepdim) / count).to(self.dtype if dtype is None else dtype)


@op("aten::count_nonzero")
def count_nonzero(self: Tensor, dim: Optional[int] = None) -> Tensor:
    """how many elements are not zero"""
    return (self != 0).sum() if dim is None else (self != 0).sum([dim])


@op("aten::count_nonzero.dim_IntList")
def count_nonzero_dims(self: Tensor, dim: List[int]) -> Tensor:
    """how many elements along axes are not zero"""
    return (self != 0).sum(reduced_axes(self.dim(), dim))


@op("aten::linalg_vector_norm")
def vector_norm(self: Tensor, ord: number = 2, dim: Optional[List[int]] = None, keepdim: bool = False, *, dtype: Optional[int] = None) -> Tensor:
    """sum(|x|^ord)^(1/ord); the largest or smallest magnitude for infinities, the number of non-zeros for 0"""
    if not self.is_floating_point():
        raise RuntimeError("linalg.vector_norm: Expected a floating point or complex tensor as input. Got {}".format(self.dtype))
    result = self.dtype if dtype is None else dtype
    x = torch.abs(wide(self.to(result)))
    p = float(ord)
    axes = reduced_axes(x.dim(), dim)
    if p == math.inf:
        if reduced_count(x, axes) == 0:
            raise RuntimeError("linalg.vector_norm cannot compute the inf norm on an empty tensor because the operation does not have an identity")
        return x.amax(axes, keepdim).to(result)
    if p == -math.inf:
        if reduced_count(x, axes) == 0:
            raise RuntimeError("linalg.vector_norm cannot compute the -inf norm on an empty tensor because the operation does not have an identity")
        return x.amin(axes, keepdim).to(result)
    if p == 0.0:
        return (x != 0).to(x.dtype).sum(axes, keepdim).to(result)
    if p == 1.0:
        return x.sum(axes, keepdim).to(result)
    if p == 2.0:
        return torch.sqrt((x * x).sum(axes, keepdim)).to(result)
    return torch.pow(torch.pow(x, p).sum(axes, keepdim), 1.0 / p).to(result)


@op("aten::norm.Scalar")
def norm_all(self: Tensor, p: number = 2) -> Tensor:
    """the p-norm of all elements"""
    return torch.linalg_vector_norm(self, p)


@op("aten::norm.ScalarOpt_dtype")
def norm_all_dtype(self: Tensor, p: Optional[number], *, dtype: int) -> Tensor:
    """the p-norm of all elements"""
    return torch.linalg_vector_norm(self, 2 if p is None else p, dtype=dtype)


@op("aten::norm.ScalarOpt_dim")
def norm_dim(self: Tensor, p: Optional[number], dim: List[int], keepdim: bool = False) -> Tensor:
    """the p-norm over axes"""
    return torch.linalg_vector_norm(self, 2 if p is None else p, dim, keepdim)


@op("aten::norm.ScalarOpt_dim_dtype")
def norm_dim_dtype(self: Tensor, p: Optional[number], dim: List[int], keepdim: bool, *, dtype: int) -> Tensor:
    """the p-norm over axes"""
    return torch.linalg_vector_norm(self, 2 if p is None else p, dim, keepdim, dtype=dtype)


@op("aten::frobenius_norm.dim")
def frobenius_norm(self: Tensor, dim: List[int], keepdim: bool = False) -> Tensor:
    """sqrt(sum(x^2)) over axes"""
    return torch.linalg_vector_norm(self, 2, dim, keepdim)


@op("aten::dist")
def dist(self: Tensor, other: Tensor, p: number = 2) -> Tensor:
    """the p-norm of the difference"""
    return torch.linalg_vector_norm(self - other, p)


@op("aten::renorm")
def renorm(self: Tensor, p: number, dim: int, maxnorm: number) -> Tensor:
    """slices of an axis scaled down to a largest norm"""
    rank = self.dim()
    if float(p) <= 0.0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if rank < 2:
        raise RuntimeError("renorm: input needs at least 2 dimensions, got {} dimensions".format(rank))
    if float(maxnorm) < 0.0:
        raise RuntimeError("renorm: expected maxnorm to be >= 0 but got {}".format(maxnorm))
    axes: List[int] = []
    for i in range(rank):
        if i != dim and i != dim + rank:
            axes.append(i)
    norm = torch.linalg_vector_norm(wide(self), p, axes, True)
    factor = torch.where(norm > maxnorm, torch.reciprocal(norm + 1e-7) * maxnorm, torch.ones_like(norm))
    return self * factor.to(self.dtype)


@op("aten::cdist")
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Optional[int] = None) -> Tensor:
    """the p-norms of the differences of all pairs of rows"""
    return cdist_of(x1, x2, p)


@op("aten::_cdist_forward")
def cdist_forward(x1: Tensor, x2: Tensor, p: float, compute_mode: Optional[int]) -> Tensor:
    """the p-norms of the differences of all pairs of rows"""
    return cdist_of(x1, x2, p)


def cdist_of(x1: Tensor, x2: Tensor, p: float) -> Tensor:
    """The p-norms of the differences of all pairs of rows."""
    if not x1.is_floating_point() or not x2.is_floating_point():
        raise RuntimeError("cdist only supports floating-point dtypes")
    if x1.dim() < 2 or x2.dim() < 2:
        raise RuntimeError("cdist only supports at least 2D tensors, X1 got: {}D".format(x1.dim()))
    if x1.size(-1) != x2.size(-1):
        raise RuntimeError("X1 and X2 must have the same number of columns. X1: {} X2: {}".format(x1.size(-1), x2.size(-1)))
    if p < 0.0:
        raise RuntimeError("cdist only supports non-negative p values")
    if x1.size(-1) == 0:
        return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).sum([-1])
    return torch.linalg_vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, [-1])


@op("aten::pdist", "aten::_pdist_forward")
def pdist(self: Tensor, p: float = 2.0) -> Tensor:
    """the p-norms of the differences of all pairs of different rows"""
    if self.dim() != 2:
        raise RuntimeError("pdist only supports 2D tensors, got: {}D".format(self.dim()))
    pairs = torch.triu_indices(self.size(0), self.size(0), 1)
    return torch.linalg_vector_norm(self.index_select(0, pairs[0]) - self.index_select(0, pairs[1]), p, [-1])


@op("aten::cov")
def cov(self: Tensor, *, correction: int = 1, fweights: Optional[Tensor] = None, aweights: Optional[Tensor] = None) -> Tensor:
    """the covariances of the rows"""
    if self.dim() > 2:
        raise RuntimeError("cov(): expected input to have two or fewer dimensions but got an input with {} dimensions".format(self.dim()))
    if self.dtype == torch.bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = self if self.is_floating_point() else self.to(torch.float)
    x = x.reshape([1, -1]) if x.dim() < 2 else x
    count = x.size(1)
    weight = torch.ones([count], dtype=x.dtype)
    if fweights is not None:
        weight = weight * fweights
    if aweights is not None:
        weight = weight * aweights
    total = weight.sum()
    mean = (x * weight).sum([1], True) / total
    centred = x - mean
    freedom = total - correction
    if aweights is not None:
        freedom = total - correction * (weight * aweights).sum() / total
    product = torch.mm(centred * weight, centred.t())
    out = product / torch.where(freedom > 0, freedom, torch.zeros_like(freedom))
    return out.reshape([]) if x.size(0) == 1 else out


@op("aten::corrcoef")
def corrcoef(self: Tensor) -> Tensor:
    """the correlation coefficients of the rows"""
    if self.dim() > 2:
        raise RuntimeError("corrcoef(): expected input to have two or fewer dimensions but got an input with {} dimensions".format(self.dim()))
    c = torch.cov(self)
    if c.dim() == 0:
        return c / c
    d = torch.sqrt(torch.diagonal(c))
    return torch.clamp(c / d.unsqueeze(-1) / d.unsqueeze(0), -1, 1)


@op("aten::trapezoid.dx")
def trapezoid_dx(y: Tensor, *, dx: number = 1, dim: int = -1) -> Tensor:
    """the area under a curve of equidistant points"""
    size = y.size(dim)
    if size == 0:
        return torch.sum(y, [dim]) * 0.0
    left = torch.slice(y, dim, 0, size - 1, 1)
    right = torch.slice(y, dim, 1, size, 1)
    return (left + right).sum([dim]) * (float(dx) / 2.0)


@op("aten::trapz.dx")
def trapz_dx(y: Tensor, *, dx: float = 1.0, dim: int = -1) -> Tensor:
    """the area under a curve of equidistant points"""
    return torch.trapezoid(y, dx=dx, dim=dim)


def steps_along(x: Tensor, y: Tensor, dim: int) -> Tensor:
    """The distances of the points x, to be multiplied with slices of y along an axis."""
    if x.dim() == 1:
        shape = [1] * y.dim()
        shape[dim] = x.size(0) - 1
        return (torch.slice(x, 0, 1, x.size(0), 1) - torch.slice(x, 0, 0, x.size(0) - 1, 1)).reshape(shape)
    return torch.slice(x, dim, 1, x.size(dim), 1) - torch.slice(x, dim, 0, x.size(dim) - 1, 1)


@op("aten::trapezoid.x", "aten::trapz.x")
def trapezoid_x(y: Tensor, x: Tensor, *, dim: int = -1) -> Tensor:
    """the area under a curve of given points"""
    size = y.size(dim)
    if size == 0:
        return torch.sum(y, [dim]) * 0.0
    left = torch.slice(y, dim, 0, size - 1, 1)
    right = torch.slice(y, dim, 1, size, 1)
    return (steps_along(x, y, dim) * (left + right)).sum([dim]) / 2.0


@op("aten::cumulative_trapezoid.dx")
def cumulative_trapezoid_dx(y: Tensor, *, dx: number = 1, dim: int = -1) -> Tensor:
    """the area under a curve of equidistant points, up to each point"""
    size = y.size(dim)
    left = torch.slice(y, dim, 0, size - 1, 1)
    right = torch.slice(y, dim, 1, size, 1)
    return float(dx) / 2.0 * torch.cumsum(left + right, dim)


@op("aten::cumulative_trapezoid.x")
def cumulative_trapezoid_x(y: Tensor, x: Tensor, *, dim: int = -1) -> Tensor:
    """the area under a curve of given points, up to each point"""
    size = y.size(dim)
    left = torch.slice(y, dim, 0, size - 1, 1)
    right = torch.slice(y, dim, 1, size, 1)
    return torch.cumsum(steps_along(x, y, dim) * (left + right), dim) / 2.0


@op("aten::diff")
def diff(self: Tensor, n: int = 1, dim: int = -1, prepend: Optional[Tensor] = None, append: Optional[Tensor] = None) -> Tensor:
    """the n-th differences along an axis"""
    if self.dim() == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError("order must be non-negative but got {}".format(n))
    parts: List[Tensor] = []
    if prepend is not None:
        parts.append(prepend)
    parts.append(self)
    if append is not None:
        parts.append(append)
    out = torch.cat(parts, dim) if len(parts) > 1 else self
    for i in range(min(n, out.size(dim))):
        size = out.size(dim)
        high = torch.slice(out, dim, 1, size, 1)
        low = torch.slice(out, dim, 0, size - 1, 1)
        out = torch.logical_xor(high, low) if out.dtype == torch.bool else high - low
    return out
