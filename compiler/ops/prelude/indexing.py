"""Reading and writing at computed indices as compositions of core operators."""


def count_at(self: Tensor, dim: int, index: Tensor, counted: Tensor) -> Tensor:
    """How many times each position is written, over a start."""
    return torch.scatter_add(counted, dim, index, torch.ones(index.shape, dtype=counted.dtype))


def neutral(reduce: str, dtype: int) -> number:
    """What a reduction starts from."""
    if reduce == "prod":
        return 1
    if reduce == "amax":
        if dtype == torch.half or dtype == torch.bfloat16 or dtype == torch.float or dtype == torch.double:
            return -math.inf
        if dtype == torch.uint8 or dtype == torch.bool:
            return 0
        return -128 if dtype == torch.int8 else -32768 if dtype == torch.int16 else -2147483648 if dtype == torch.int32 else -9223372036854775807 - 1
    if reduce == "amin":
        if dtype == torch.half or dtype == torch.bfloat16 or dtype == torch.float or dtype == torch.double:
            return math.inf
        if dtype == torch.bool:
            return 1
        return 255 if dtype == torch.uint8 else 127 if dtype == torch.int8 else 32767 if dtype == torch.int16 else 2147483647 if dtype == torch.int32 else 9223372036854775807
    return 0


def reduce_at(self: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    """self combined with src at index along an axis; what is written does not count itself without include_self."""
    start = self
    if not include_self:
        start = torch.scatter(self, dim, index, neutral(reduce, self.dtype))
    if reduce != "mean":
        return torch.ops.kiln.scatter_reduce(start, dim, index, src, reduce)
    total = torch.ops.kiln.scatter_reduce(start, dim, index, src, "sum")
    counts = torch.ones(self.shape, dtype=torch.int64)
    if not include_self:
        counts = torch.scatter(counts, dim, index, 0)
    counts = torch.clamp(count_at(self, dim, index, counts), 1)
    if self.is_floating_point():
        return total / counts.to(self.dtype)
    return torch.floor_divide(total, counts.to(self.dtype))


@op("aten::scatter_reduce.two")
def scatter_reduce(self: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """self combined with src at index along an axis"""
    return reduce_at(self, dim, index, src, reduce, include_self)


def old_name(reduce: str) -> str:
    """The reductions of scatter by their present names."""
    if reduce == "add":
        return "sum"
    if reduce == "multiply":
        return "prod"
    raise RuntimeError("reduce argument must be either add or multiply.")


@op("aten::scatter.reduce")
def scatter_with_reduce(self: Tensor, dim: int, index: Tensor, src: Tensor, *, reduce: str) -> Tensor:
    """self combined with src at index along an axis"""
    return torch.ops.kiln.scatter_reduce(self, dim, index, src, old_name(reduce))


@op("aten::scatter.value_reduce")
def scatter_value_with_reduce(self: Tensor, dim: int, index: Tensor, value: number, *, reduce: str) -> Tensor:
    """self combined with a number at index along an axis"""
    return torch.ops.kiln.scatter_reduce(self, dim, index, torch.full(index.shape, value, dtype=self.dtype), old_name(reduce))


@op("aten::index_reduce")
def index_reduce(self: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """self combined with source at positions of an axis"""
    if reduce != "prod" and reduce != "mean" and reduce != "amax" and reduce != "amin":
        raise RuntimeError("index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {}.".format(reduce))
    if self.dim() == 0:
        return reduce_at(self.reshape([1]), 0, index.reshape([-1]), source.reshape([-1]), reduce, include_self).reshape([])
    shape = [1] * source.dim()
    shape[dim] = -1
    return reduce_at(self, dim, index.reshape(shape).expand(source.shape), source, reduce, include_self)


@op("aten::put")
def put(self: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """self with source written, or added, at flat indices"""
    if index.numel() != source.numel():
        raise IndexError("put_(): Expected source and index to have the same number of elements, but got source.numel() = {}, index.numel() = {}".format(source.numel(), index.numel()))
    return torch.index_put(self.reshape([-1]), [index.reshape([-1])], source.reshape([-1]), accumulate).reshape(self.shape)


@op("aten::_unsafe_masked_index")
def unsafe_masked_index(self: Tensor, mask: Tensor, indices: List[Optional[Tensor]], fill: number) -> Tensor:
    """self at indices where the mask holds, elsewhere fill"""
    safe: List[Optional[Tensor]] = []
    for i in range(len(indices)):
        index = indices[i]
        safe.append(None if index is None else torch.clamp(index, -self.size(i), self.size(i) - 1))
    if self.numel() == 0:
        return torch.full(mask.shape, fill, dtype=self.dtype)
    return torch.masked_fill(torch.ops.aten.index(self, safe), torch.logical_not(mask), fill)


@op("aten::_unsafe_masked_index_put_accumulate")
def unsafe_masked_index_put(self: Tensor, mask: Tensor, indices: List[Optional[Tensor]], values: Tensor) -> Tensor:
    """self with values added at indices where the mask holds"""
    if self.numel() == 0:
        return self.clone()
    safe: List[Optional[Tensor]] = []
    for i in range(len(indices)):
        index = indices[i]
        safe.append(None if index is None else torch.clamp(index, -self.size(i), self.size(i) - 1))
    return torch.index_put(self, safe, torch.masked_fill(values, torch.logical_not(mask), 0), True)


def unpooled(self: Tensor, indices: Tensor, spatial: List[int]) -> Tensor:
    """Elements at flat places of zero images."""
    if self.shape != indices.shape:
        raise RuntimeError("Expected shape of indices to be same as that of the input tensor ({}) but got indices tensor with shape: {}".format(self.shape, indices.shape))
    axes = len(spatial)
    outer = self.shape[:self.dim() - axes]
    images = 1
    for size in outer:
        images = images * size
    area = 1
    for size in spatial:
        area = area * size
    out = torch.zeros([images, area], dtype=self.dtype)
    return torch.scatter(out, 1, indices.reshape([images, -1]), self.reshape([images, -1])).reshape(outer + spatial)


@op("aten::max_unpool2d")
def max_unpool2d(self: Tensor, indices: Tensor, output_size: List[int]) -> Tensor:
    """zeros with the elements at the places that max_pool2d found them at"""
    if self.dim() != 3 and self.dim() != 4:
        raise RuntimeError("Input to max_unpooling2d should be a 3d or 4d Tensor, but got a tensor with {} dimensions".format(self.dim()))
    return unpooled(self, indices, output_size)


@op("aten::max_unpool3d")
def max_unpool3d(self: Tensor, indices: Tensor, output_size: List[int], stride: List[int], padding: List[int]) -> Tensor:
    """zeros with the elements at the places that max_pool3d found them at"""
    if self.dim() != 4 and self.dim() != 5:
        raise RuntimeError("Input to max_unpooling3d should be a 4d or 5d Tensor, but got a tensor with {} dimensions".format(self.dim()))
    return unpooled(self, indices, output_size)


@op("aten::max_pool2d_with_indices_backward")
def max_pool2d_with_indices_backward(grad_output: Tensor, self: Tensor, kernel_size: List[int], stride: List[int], padding: List[int], dilation: List[int], ceil_mode: bool, indices: Tensor) -> Tensor:
    """gradients added up at the places that max_pool2d found its elements at"""
    outer = self.shape[:-2]
    images = 1
    for size in outer:
        images = images * size
    out = torch.zeros([images, self.size(-2) * self.size(-1)], dtype=self.dtype)
    return torch.scatter_add(out, 1, indices.reshape([images, -1]), grad_output.reshape([images, -1])).reshape(self.shape)


@op("aten::segment_reduce")
def segment_reduce(data: Tensor, reduce: str, *, lengths: Optional[Tensor] = None, indices: Optional[Tensor] = None, offsets: Optional[Tensor] = None, axis: int = 0, unsafe: bool = False, initial: Optional[number] = None) -> Tensor:
    """reductions of consecutive parts of an axis"""
    if lengths is not None:
        high = torch.cumsum(lengths, axis)
        low = high - lengths
    elif offsets is not None:
        low = torch.slice(offsets, axis, 0, offsets.size(axis) - 1, 1)
        high = torch.slice(offsets, axis, 1, offsets.size(axis), 1)
    else:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    places = torch.arange(data.size(axis))
    inside = torch.logical_and(places >= low.unsqueeze(-1), places < high.unsqueeze(-1))
    for i in range(data.dim() - axis - 1):
        inside = inside.unsqueeze(-1)
    parts = data.unsqueeze(axis)
    empty = (high - low) == 0
    for i in range(data.dim() - axis - 1):
        empty = empty.unsqueeze(-1)
    if reduce == "sum" or reduce == "mean":
        total = torch.where(inside, parts, 0).sum([axis + 1])
        if initial is not None:
            total = total + initial
        if reduce == "sum":
            return total
        count = high - low
        for i in range(data.dim() - axis - 1):
            count = count.unsqueeze(-1)
        mean = total / count.to(data.dtype)
        return mean if initial is None else torch.where(empty, float(initial), mean)
    if reduce == "prod":
        product = torch.where(inside, parts, 1).prod(axis + 1)
        return product if initial is None else product * initial
    if reduce == "max":
        out = torch.where(inside, parts, -math.inf).amax([axis + 1])
        return out if initial is None else torch.clamp(out, float(initial))
    if reduce == "min":
        out = torch.where(inside, parts, math.inf).amin([axis + 1])
        return out if initial is None else torch.clamp(out, None, float(initial))
    raise RuntimeError("segment_reduce: unsupported reduction {}".format(reduce))


@op("aten::embedding_bag.padding_idx")
def embedding_bag(weight: Tensor, indices: Tensor, offsets: Tensor, scale_grad_by_freq: bool, mode: int, sparse: bool, per_sample_weights: Optional[Tensor], include_last_offset: bool, padding_idx: Optional[int]) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """sums, means or maxima of bags of rows; an index equal to padding_idx does not count"""
    padding = -1
    if padding_idx is not None:
        padding = padding_idx + weight.size(0) if padding_idx < 0 else padding_idx
    count = indices.size(0)
    bags = offsets.size(0) - 1 if include_last_offset else offsets.size(0)
    low = torch.slice(offsets, 0, 0, bags, 1)
    ends = torch.full([1], count, dtype=offsets.dtype)
    high = torch.slice(offsets, 0, 1, bags + 1, 1) if include_last_offset else torch.cat([torch.slice(offsets, 0, 1, bags, 1), ends])
    places = torch.arange(count)
    inside = torch.logical_and(places >= low.unsqueeze(-1), places < high.unsqueeze(-1))
    bag_of = torch.where(inside, torch.arange(bags).unsqueeze(-1), 0).sum([0]).to(indices.dtype)
    counted = torch.logical_and(inside, indices != padding)
    sizes = counted.sum([1])
    rows = torch.embedding(weight, indices)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    if mode == 2:
        spread = torch.where(counted.unsqueeze(-1), rows.unsqueeze(0), -math.inf)
        if count == 0:
            return torch.zeros([bags, weight.size(1)], dtype=weight.dtype), bag_of, sizes.to(indices.dtype), torch.zeros([bags, weight.size(1)], dtype=indices.dtype)
        largest, place = torch.max(spread, 1)
        is_empty = (sizes == 0).unsqueeze(-1)
        return torch.where(is_empty, 0, largest), bag_of, sizes.to(indices.dtype), torch.where(is_empty, -1, indices[place])
    total = torch.mm(counted.to(weight.dtype), rows)
    if mode == 1:
        total = total / torch.clamp(sizes, 1).to(weight.dtype).unsqueeze(-1)
    return total, bag_of, sizes.to(indices.dtype), torch.empty([0], dtype=indices.dtype)
