"""Operators that sort, select, accumulate or find: compositions of the algorithms over lanes."""


@op("aten::argsort")
def argsort(self: Tensor, dim: int = -1, descending: bool = False) -> Tensor:
    """The places of the elements in order."""
    return torch.sort(self, dim, descending)[1]


@op("aten::argsort.stable")
def argsort_stable(self: Tensor, *, stable: bool, dim: int = -1, descending: bool = False) -> Tensor:
    """The places of the elements in order."""
    return torch.sort(self, stable=stable, dim=dim, descending=descending)[1]


@op("aten::msort")
def msort(self: Tensor) -> Tensor:
    """Sorted along the first axis."""
    return torch.sort(self, 0, False)[0]


def nothing_to_select(self: Tensor) -> Tensor:
    """The median of nothing: NaN, or the smallest int."""
    if self.is_floating_point():
        return torch.full([], float("nan"), dtype=self.dtype)
    if self.dtype == torch.long:
        return torch.full([], -9223372036854775807, dtype=self.dtype) - 1
    raise NotImplementedError("kiln: the median of an empty tensor of this type")


@op("aten::median")
def median(self: Tensor) -> Tensor:
    """The lower median of all elements."""
    if self.numel() == 0:
        return nothing_to_select(self)
    return torch.median(self.reshape([-1]), 0, False)[0]


@op("aten::nanmedian")
def nanmedian(self: Tensor) -> Tensor:
    """The lower median of all elements that are not NaN."""
    if self.numel() == 0:
        return nothing_to_select(self)
    return torch.nanmedian(self.reshape([-1]), 0, False)[0]


def running(self: Tensor, dim: int, dtype: Optional[int], operation: int) -> Tensor:
    """Running sums or products, of integers in 64 bits."""
    if dtype is not None:
        x = self.to(dtype)
    elif self.is_floating_point():
        x = self
    else:
        x = self.to(torch.long)
    if x.dtype == torch.bool:
        raise NotImplementedError("kiln: running sums of bools")
    return torch.ops.kiln.cumulative(x, dim, operation)


@op("aten::cumsum")
def cumsum(self: Tensor, dim: int, *, dtype: Optional[int] = None) -> Tensor:
    """Running sums along an axis."""
    return running(self, dim, dtype, 0)


@op("aten::cumprod")
def cumprod(self: Tensor, dim: int, *, dtype: Optional[int] = None) -> Tensor:
    """Running products along an axis."""
    return running(self, dim, dtype, 1)


@op("aten::logcumsumexp")
def logcumsumexp(self: Tensor, dim: int) -> Tensor:
    """Logarithms of running sums of exponentials."""
    if not self.is_floating_point():
        raise RuntimeError("logcumsumexp is only implemented for floating-point types")
    return torch.ops.kiln.cumulative(self, dim, 2)


def found(mask: Tensor) -> Tensor:
    """The indices of what is not zero, one row each."""
    mask = mask != 0
    return torch.ops.kiln.nonzero(mask, torch.tensor(mask.shape, dtype=torch.long), int(mask.sum()))


@op("aten::nonzero")
def nonzero(self: Tensor) -> Tensor:
    """The indices of the elements that are not zero, one row each."""
    return found(self)


@op("aten::argwhere")
def argwhere(self: Tensor) -> Tensor:
    """The indices of the elements that are not zero, one row each."""
    return found(self)


@op("aten::where")
def where(condition: Tensor) -> List[Tensor]:
    """The indices of the elements that are not zero, one tensor for each axis."""
    return torch.nonzero_numpy(condition)


@op("aten::nonzero_numpy")
def nonzero_numpy(self: Tensor) -> List[Tensor]:
    """The indices of the elements that are not zero, one tensor for each axis."""
    rows = found(self.reshape([1]) if self.dim() == 0 else self)
    out: List[Tensor] = []
    for i in range(max(self.dim(), 1)):
        out.append(rows.select(1, i))
    return out


@op("aten::nonzero_static")
def nonzero_static(self: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first `size` indices of elements that are not zero; rows of a fill value where there are fewer."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    flat = (self != 0).reshape([self.numel()]).to(torch.long)
    place = torch.ops.kiln.cumulative(flat, 0, 0) - 1
    # Elements that do not count are written to a row that is cut off.
    target = torch.where(torch.logical_and(flat != 0, place < size), place, torch.full_like(place, size))
    columns: List[Tensor] = []
    stride = self.numel()
    for i in range(self.dim()):
        stride = stride // max(self.size(i), 1)
        own = torch.arange(self.numel()) // max(stride, 1) % max(self.size(i), 1)
        columns.append(torch.full([size + 1], fill_value, dtype=torch.long).scatter(0, target, own).narrow(0, 0, size))
    if self.dim() == 0:
        return torch.empty([size, 0], dtype=torch.long)
    return torch.stack(columns, 1)


@op("aten::masked_select")
def masked_select(self: Tensor, mask: Tensor) -> Tensor:
    """The elements where a mask is true, flat."""
    if mask.dtype != torch.bool:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = torch._infer_size(self.shape, mask.shape)
    flat = mask.expand(shape).reshape([-1])
    return self.expand(shape).reshape([-1]).index_select(0, found(flat).select(1, 0))


@op("aten::masked_scatter")
def masked_scatter(self: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy with the elements where a mask is true replaced by those of source, in order."""
    if self.dtype != source.dtype:
        raise RuntimeError("masked_scatter: expected self and source to have same dtypes but got {} and {}".format(self.dtype, source.dtype))
    shape = torch._infer_size(self.shape, mask.shape)
    flat = mask.expand(shape).reshape([-1])
    base = self.expand(shape).reshape([-1])
    if base.size(0) == 0:
        return self.expand(shape).clone()
    place = torch.ops.kiln.cumulative(flat.to(torch.long), 0, 0) - 1
    # An index is only looked at, and checked, where the mask is true.
    taken = source.reshape([-1]).index_select(0, torch.where(flat, place, torch.zeros_like(place)))
    return torch.where(flat, taken, base).reshape(shape)


def distinct(self: Tensor, dim: int, consecutive: bool) -> Tuple[Tensor, Tensor, Tensor]:
    """(distinct slices of an axis, class of each slice, sizes of the classes)"""
    n = self.size(dim)
    classes = torch.ops.kiln.classes(self, dim, consecutive)
    count = 0
    if n > 0:
        count = int(classes.max()) + 1
    counts = torch.zeros([count], dtype=torch.long).index_add(0, classes, torch.ones([n], dtype=torch.long))
    # The first slice of each class: later writes stay, so they are written backwards.
    places = torch.arange(n).flip([0])
    first = torch.zeros([count], dtype=torch.long).scatter(0, classes.flip([0]), places)
    return self.index_select(dim, first), classes, counts


def wanted(values: Tensor, inverse: Tensor, counts: Tensor, return_inverse: bool, return_counts: bool) -> Tuple[Tensor, Tensor, Tensor]:
    """Results that are not asked for are empty."""
    none = torch.empty([0], dtype=torch.long)
    return values, inverse if return_inverse else none, counts if return_counts else none


@op("aten::_unique2")
def unique2(self: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False) -> Tuple[Tensor, Tensor, Tensor]:
    """The distinct elements in ascending order."""
    values, classes, counts = distinct(self.reshape([-1]), 0, False)
    return wanted(values, classes.reshape(self.shape), counts, return_inverse, return_counts)


@op("aten::_unique")
def unique(self: Tensor, sorted: bool = True, return_inverse: bool = False) -> Tuple[Tensor, Tensor]:
    """The distinct elements in ascending order."""
    values, classes, counts = distinct(self.reshape([-1]), 0, False)
    return values, classes.reshape(self.shape) if return_inverse else torch.empty([0], dtype=torch.long)


@op("aten::unique_dim")
def unique_dim(self: Tensor, dim: int, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False) -> Tuple[Tensor, Tensor, Tensor]:
    """The distinct slices of an axis in ascending order."""
    return distinct(self, dim, False)


@op("aten::unique_consecutive")
def unique_consecutive(self: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: Optional[int] = None) -> Tuple[Tensor, Tensor, Tensor]:
    """The elements (or slices of an axis) without repetitions of neighbours."""
    if dim is None:
        values, classes, counts = distinct(self.reshape([-1]), 0, True)
        return wanted(values, classes.reshape(self.shape), counts, return_inverse, return_counts)
    return distinct(self, dim, True)


@op("aten::unique_dim_consecutive")
def unique_dim_consecutive(self: Tensor, dim: int, return_inverse: bool = False, return_counts: bool = False) -> Tuple[Tensor, Tensor, Tensor]:
    """The slices of an axis without repetitions of neighbours."""
    return distinct(self, dim, True)


@op("aten::bincount")
def bincount(self: Tensor, weights: Optional[Tensor] = None, minlength: int = 0) -> Tensor:
    """How often each int occurs, or the sums of its weights."""
    if self.dim() != 1 or self.is_floating_point() or self.dtype == torch.bool:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    x = self.to(torch.long)
    size = minlength
    if x.size(0) > 0:
        if bool((x < 0).any()):
            raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
        size = max(int(x.max()) + 1, minlength)
    if weights is None:
        return torch.zeros([size], dtype=torch.long).index_add(0, x, torch.ones_like(x))
    if weights.dim() != 1 or weights.size(0) != x.size(0):
        raise RuntimeError("weights should be 1-d and have the same length as input")
    w = weights if weights.dtype == torch.float else weights.to(torch.double)
    return torch.zeros([size], dtype=w.dtype).index_add(0, x, w)


@op("aten::histc")
def histc(self: Tensor, bins: int = 100, min: number = 0, max: number = 0) -> Tensor:
    """How many elements are in each of equal bins."""
    if not self.is_floating_point():
        raise NotImplementedError("kiln: `aten::histc` of integers")
    return torch.ops.kiln.histc(self, bins, min, max)


def quantiles(self: Tensor, q: Tensor, dim: Optional[int], keepdim: bool, interpolation: str, skip_nan: bool) -> Tensor:
    """Elements at fractions of the sorted lanes; neighbours are mixed as `interpolation` says."""
    if self.dtype != torch.float and self.dtype != torch.double:
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if q.dim() > 1:
        raise RuntimeError("quantile() q must be a scalar or 1D tensor")
    if self.dtype != q.dtype:
        raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
    if self.numel() == 0:
        raise RuntimeError("quantile() input tensor must be non-empty")
    rank = self.dim()
    axis = 0
    if dim is not None:
        axis = dim + max(rank, 1) if dim < 0 else dim
    x = self.reshape([-1])
    if dim is not None and rank > 0:
        others: List[int] = []
        for i in range(rank):
            if i != axis:
                others.append(i)
        x = self.permute(others + [axis])
    lead = x.shape[:-1]
    n = x.size(-1)
    ordered = torch.sort(x, -1, False)[0]
    fractions = q.reshape([-1])
    if skip_nan:
        count = torch.logical_not(torch.isnan(ordered)).sum([-1], True)
        rank_at = fractions * torch.clamp(count - 1, min=0).to(self.dtype)
    else:
        # A NaN, which is sorted last, makes its whole lane NaN.
        spoilt = torch.isnan(ordered.narrow(-1, n - 1, 1))
        rank_at = torch.where(spoilt, torch.full([1], float(n - 1), dtype=self.dtype), (fractions * float(n - 1)).expand(lead + [fractions.size(0)]))
    if interpolation == "lower":
        rank_at = torch.floor(rank_at)
    elif interpolation == "higher":
        rank_at = torch.ceil(rank_at)
    elif interpolation == "nearest":
        rank_at = torch.round(rank_at)
    elif interpolation != "linear" and interpolation != "midpoint":
        raise RuntimeError("quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {}".format(interpolation))
    below = rank_at.to(torch.long)
    out = ordered.gather(-1, below)
    if interpolation == "linear" or interpolation == "midpoint":
        weight = torch.full_like(rank_at, 0.5) if interpolation == "midpoint" else rank_at - below.to(self.dtype)
        above = ordered.gather(-1, torch.ceil(rank_at).to(torch.long))
        out = torch.lerp(out, above, weight)
    # The fractions become the first axis, or none.
    front: List[int] = [out.dim() - 1]
    for i in range(out.dim() - 1):
        front.append(i)
    result = out.permute(front)
    if keepdim:
        kept = result.reshape([fractions.size(0)] + [1] * rank) if dim is None else result.unsqueeze(axis + 1)
        if rank == 0:
            kept = result.reshape([fractions.size(0)])
        result = kept
    return result.squeeze(0) if q.dim() == 0 else result


@op("aten::quantile")
def quantile(self: Tensor, q: Tensor, dim: Optional[int] = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """Elements at fractions of the sorted lanes."""
    return quantiles(self, q, dim, keepdim, interpolation, False)


@op("aten::quantile.scalar")
def quantile_scalar(self: Tensor, q: float, dim: Optional[int] = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """The element at a fraction of the sorted lanes."""
    if q < 0.0 or q > 1.0:
        raise RuntimeError("quantile() q must be in the range [0, 1] but got {}".format(q))
    return quantiles(self, torch.full([], q, dtype=self.dtype), dim, keepdim, interpolation, False)


@op("aten::nanquantile")
def nanquantile(self: Tensor, q: Tensor, dim: Optional[int] = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """Elements at fractions of what is not NaN in the sorted lanes."""
    return quantiles(self, q, dim, keepdim, interpolation, True)


@op("aten::nanquantile.scalar")
def nanquantile_scalar(self: Tensor, q: float, dim: Optional[int] = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """The element at a fraction of what is not NaN in the sorted lanes."""
    if q < 0.0 or q > 1.0:
        raise RuntimeError("quantile() q must be in the range [0, 1] but got {}".format(q))
    return quantiles(self, torch.full([], q, dtype=self.dtype), dim, keepdim, interpolation, True)


@op("aten::repeat_interleave.self_Tensor")
def repeat_interleave(self: Tensor, repeats: Tensor, dim: Optional[int] = None, *, output_size: Optional[int] = None) -> Tensor:
    """Each position of an axis as often as a tensor says."""
    x = self.reshape([-1]) if dim is None or self.dim() == 0 else self
    axis = 0
    if dim is not None:
        axis = dim
    times = repeats.reshape([-1]).to(torch.long)
    if times.size(0) == 1:
        times = times.expand([x.size(axis)])
    if times.size(0) != x.size(axis):
        raise RuntimeError("repeats must have the same size as input along dim, but got repeats.size(0) = {} and input.size({}) = {}".format(times.size(0), axis, x.size(axis)))
    return x.index_select(axis, torch.repeat_interleave(times))


@op("aten::repeat_interleave.Tensor")
def repeat_interleave_places(repeats: Tensor, *, output_size: Optional[int] = None) -> Tensor:
    """Each place as often as the element there says."""
    if repeats.dim() != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if repeats.size(0) == 0:
        return torch.empty([0], dtype=repeats.dtype)
    ends = torch.ops.kiln.cumulative(repeats.to(torch.long), 0, 0)
    if bool((repeats < 0).any()):
        raise RuntimeError("repeats can not be negative")
    return torch.bucketize(torch.arange(int(ends[-1])), ends, right=True).to(repeats.dtype)
