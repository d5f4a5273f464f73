"""Tensors taken apart into lists, and lists of tensors put together."""


def wrapped(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if rank == 0 or axis < -rank or axis >= rank:
        raise IndexError("Dimension out of range (expected to be in range of [{}, {}], but got {})".format(-max(rank, 1), max(rank, 1) - 1, axis))
    return axis + rank if axis < 0 else axis


@op("aten::unbind.int")
def unbind(self: Tensor, dim: int = 0) -> List[Tensor]:
    """The slices of an axis."""
    axis = wrapped(dim, self.dim())
    out: List[Tensor] = []
    for i in range(self.size(axis)):
        out.append(self.select(axis, i))
    return out


def pieces(self: Tensor, size: int, dim: int) -> List[Tensor]:
    """Pieces of a size along an axis; the last one may be shorter."""
    if self.dim() == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    if size < 0:
        raise RuntimeError("split expects split_size be non-negative, but got split_size={}".format(size))
    axis = wrapped(dim, self.dim())
    length = self.size(axis)
    if size == 0 and length != 0:
        raise RuntimeError("split_size can only be 0 if dimension size is 0, but got dimension size of {}".format(length))
    count = 1
    if size > 0:
        count = max((length + size - 1) // size, 1)
    out: List[Tensor] = []
    for i in range(count):
        out.append(torch.slice(self, axis, i * size, min((i + 1) * size, length), 1))
    return out


@op("aten::split.Tensor", "aten::unsafe_split.Tensor")
def split(self: Tensor, split_size: int, dim: int = 0) -> List[Tensor]:
    """Pieces of a size along an axis; the last one may be shorter."""
    return pieces(self, split_size, dim)


@op("aten::split")
def split_by(self: Tensor, split_sizes: List[int], dim: int = 0) -> List[Tensor]:
    """Pieces of given sizes along an axis."""
    return by_sizes(self, split_sizes, dim)


@op("aten::chunk", "aten::unsafe_chunk")
def chunk(self: Tensor, chunks: int, dim: int = 0) -> List[Tensor]:
    """At most `chunks` pieces of equal size; the last one may be shorter."""
    if self.dim() == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError("chunk expects `chunks` to be greater than 0, got: {}".format(chunks))
    axis = wrapped(dim, self.dim())
    length = self.size(axis)
    if length == 0:
        return by_sizes(self, [0] * chunks, axis)
    return pieces(self, (length + chunks - 1) // chunks, axis)


def by_sizes(self: Tensor, sizes: List[int], dim: int) -> List[Tensor]:
    """Pieces of given sizes along an axis."""
    if self.dim() == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    axis = wrapped(dim, self.dim())
    out: List[Tensor] = []
    at = 0
    for n in sizes:
        if n < 0:
            raise RuntimeError("split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={}".format(sizes))
        out.append(torch.slice(self, axis, at, at + n, 1))
        at = at + n
    if at != self.size(axis):
        raise RuntimeError("split_with_sizes expects split_sizes to sum exactly to {} (input tensor's size at dimension {}), but got split_sizes={}".format(self.size(axis), axis, sizes))
    return out


@op("aten::split.sizes", "aten::split_with_sizes", "aten::unsafe_split_with_sizes")
def split_with_sizes(self: Tensor, split_sizes: List[int], dim: int = 0) -> List[Tensor]:
    """Pieces of given sizes along an axis."""
    return by_sizes(self, split_sizes, dim)


@op("aten::tensor_split.sections")
def tensor_split_sections(self: Tensor, sections: int, dim: int = 0) -> List[Tensor]:
    """`sections` pieces whose sizes differ by at most one, the longer ones first."""
    if self.dim() == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    if sections <= 0:
        raise RuntimeError("number of sections must be larger than 0, got {}".format(sections))
    axis = wrapped(dim, self.dim())
    length = self.size(axis)
    out: List[Tensor] = []
    at = 0
    for i in range(sections):
        n = length // sections + (1 if i < length % sections else 0)
        out.append(torch.slice(self, axis, at, at + n, 1))
        at = at + n
    return out


@op("aten::tensor_split.indices")
def tensor_split_indices(self: Tensor, indices: List[int], dim: int = 0) -> List[Tensor]:
    """Pieces between positions of an axis, which count as in a slice."""
    if self.dim() == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    axis = wrapped(dim, self.dim())
    out: List[Tensor] = []
    start = 0
    for end in indices:
        out.append(torch.slice(self, axis, start, end, 1))
        start = end
    out.append(torch.slice(self, axis, start, self.size(axis), 1))
    return out


@op("aten::tensor_split.tensor_indices_or_sections")
def tensor_split_tensor(self: Tensor, tensor_indices_or_sections: Tensor, dim: int = 0) -> List[Tensor]:
    """As tensor_split with a number or a list, by the tensor's rank."""
    if tensor_indices_or_sections.dim() == 0:
        return torch.tensor_split(self, int(tensor_indices_or_sections), dim)
    if tensor_indices_or_sections.dim() != 1:
        raise RuntimeError("tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but got a tensor with {} dims".format(tensor_indices_or_sections.dim()))
    indices: List[int] = []
    for i in range(tensor_indices_or_sections.size(0)):
        indices.append(int(tensor_indices_or_sections[i]))
    return torch.tensor_split(self, indices, dim)


def check_sections(self: Tensor, axis: int, sections: int, name: str) -> None:
    """Stacks are split into equal pieces only."""
    if sections == 0 or self.size(axis) % sections != 0:
        raise RuntimeError("torch.{} attempted to split along dimension {}, but the size of the dimension {} is not divisible by the split_size {}!".format(name, axis, self.size(axis), sections))


@op("aten::hsplit.int")
def hsplit(self: Tensor, sections: int) -> List[Tensor]:
    """Equal pieces of the second axis, or of the only one."""
    if self.dim() < 1:
        raise RuntimeError("torch.hsplit requires a tensor with at least 1 dimension, but got a tensor with {} dimensions!".format(self.dim()))
    axis = 0 if self.dim() == 1 else 1
    check_sections(self, axis, sections, "hsplit")
    return torch.tensor_split(self, sections, axis)


@op("aten::hsplit.array")
def hsplit_array(self: Tensor, indices: List[int]) -> List[Tensor]:
    """Pieces of the second axis, or of the only one."""
    if self.dim() < 1:
        raise RuntimeError("torch.hsplit requires a tensor with at least 1 dimension, but got a tensor with {} dimensions!".format(self.dim()))
    return torch.tensor_split(self, indices, 0 if self.dim() == 1 else 1)


@op("aten::vsplit.int")
def vsplit(self: Tensor, sections: int) -> List[Tensor]:
    """Equal pieces of the first axis."""
    if self.dim() < 2:
        raise RuntimeError("torch.vsplit requires a tensor with at least 2 dimension, but got a tensor with {} dimensions!".format(self.dim()))
    check_sections(self, 0, sections, "vsplit")
    return torch.tensor_split(self, sections, 0)


@op("aten::vsplit.array")
def vsplit_array(self: Tensor, indices: List[int]) -> List[Tensor]:
    """Pieces of the first axis."""
    if self.dim() < 2:
        raise RuntimeError("torch.vsplit requires a tensor with at least 2 dimension, but got a tensor with {} dimensions!".format(self.dim()))
    return torch.tensor_split(self, indices, 0)


@op("aten::dsplit.int")
def dsplit(self: Tensor, sections: int) -> List[Tensor]:
    """Equal pieces of the third axis."""
    if self.dim() < 3:
        raise RuntimeError("torch.dsplit requires a tensor with at least 3 dimension, but got a tensor with {} dimensions!".format(self.dim()))
    check_sections(self, 2, sections, "dsplit")
    return torch.tensor_split(self, sections, 2)


@op("aten::dsplit.array")
def dsplit_array(self: Tensor, indices: List[int]) -> List[Tensor]:
    """Pieces of the third axis."""
    if self.dim() < 3:
        raise RuntimeError("torch.dsplit requires a tensor with at least 3 dimension, but got a tensor with {} dimensions!".format(self.dim()))
    return torch.tensor_split(self, indices, 2)


@op("aten::hstack")
def hstack(tensors: List[Tensor]) -> Tensor:
    """Joined along the second axis, or along the only one."""
    parts: List[Tensor] = []
    for t in tensors:
        parts.append(torch.atleast_1d(t))
    if len(parts) == 0:
        raise RuntimeError("hstack expects a non-empty TensorList")
    return torch.cat(parts, 0 if parts[0].dim() == 1 else 1)


@op("aten::vstack", "aten::row_stack")
def vstack(tensors: List[Tensor]) -> Tensor:
    """Joined along the first of at least two axes."""
    parts: List[Tensor] = []
    for t in tensors:
        parts.append(torch.atleast_2d(t))
    return torch.cat(parts, 0)


@op("aten::dstack")
def dstack(tensors: List[Tensor]) -> Tensor:
    """Joined along the third of at least three axes."""
    parts: List[Tensor] = []
    for t in tensors:
        parts.append(torch.atleast_3d(t))
    return torch.cat(parts, 2)


@op("aten::column_stack")
def column_stack(tensors: List[Tensor]) -> Tensor:
    """Joined as columns."""
    parts: List[Tensor] = []
    for t in tensors:
        parts.append(t.reshape([t.numel(), 1]) if t.dim() <= 1 else t)
    return torch.hstack(parts)


@op("aten::_chunk_cat")
def chunk_cat(tensors: List[Tensor], dim: int, num_chunks: int) -> Tensor:
    """Each tensor in chunks of equal size (zeros fill up the last one), joined chunk by chunk as rows."""
    parts: List[Tensor] = []
    for t in tensors:
        axis = wrapped(dim, t.dim())
        size = (t.size(axis) + num_chunks - 1) // num_chunks
        border = [0, 0] * (t.dim() - 1 - axis) + [0, size * num_chunks - t.size(axis)]
        full = torch.constant_pad_nd(t, border, 0)
        parts.append(full.reshape(t.shape[:axis] + [num_chunks, -1]))
    return torch.cat(parts, wrapped(dim, tensors[0].dim()) + 1)


@op("aten::broadcast_tensors")
def broadcast_tensors(tensors: List[Tensor]) -> List[Tensor]:
    """All with their common shape."""
    shape: List[int] = []
    for t in tensors:
        shape = torch._infer_size(shape, t.shape)
    out: List[Tensor] = []
    for t in tensors:
        out.append(t.expand(shape))
    return out


def grid(tensors: List[Tensor], swap: bool) -> List[Tensor]:
    """Coordinates of a grid; `swap` exchanges the first two axes."""
    shape: List[int] = []
    for t in tensors:
        if t.dim() > 1:
            raise RuntimeError("torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got a tensor of {} dimensions".format(t.dim()))
        shape.append(t.numel())
    if swap:
        shape = [shape[1], shape[0]] + shape[2:]
    out: List[Tensor] = []
    for i in range(len(tensors)):
        own = [1] * len(tensors)
        axis = 1 - i if swap and i < 2 else i
        own[axis] = shape[axis]
        out.append(tensors[i].view(own).expand(shape))
    return out


@op("aten::meshgrid")
def meshgrid(tensors: List[Tensor]) -> List[Tensor]:
    """Coordinates of a grid, the first tensor along the first axis."""
    return grid(tensors, False)


@op("aten::meshgrid.indexing")
def meshgrid_indexing(tensors: List[Tensor], *, indexing: str) -> List[Tensor]:
    """Coordinates of a grid; "xy" exchanges the first two axes."""
    if indexing != "ij" and indexing != "xy":
        raise RuntimeError("torch.meshgrid: indexing must be one of \"xy\" or \"ij\", but received: {}".format(indexing))
    return grid(tensors, indexing == "xy" and len(tensors) >= 2)


@op("aten::block_diag")
def block_diag(tensors: List[Tensor]) -> Tensor:
    """Matrices along the diagonal of one, zeros elsewhere."""
    dtype = torch.uint8 if False else torch.float
    columns = 0
    for i in range(len(tensors)):
        t = tensors[i]
        if t.dim() > 2:
            raise RuntimeError("torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {} has {} dimensions".format(i, t.dim()))
        dtype = t.dtype if i == 0 else torch.promote_types(dtype, t.dtype)
        columns = columns + torch.atleast_2d(t).size(1)
    if len(tensors) == 0:
        return torch.zeros([1, 0])
    parts: List[Tensor] = []
    at = 0
    for t in tensors:
        m = torch.atleast_2d(t).to(dtype)
        parts.append(torch.constant_pad_nd(m, [at, columns - at - m.size(1)], 0))
        at = at + m.size(1)
    return torch.cat(parts, 0)


@op("aten::cartesian_prod")
def cartesian_prod(tensors: List[Tensor]) -> Tensor:
    """All tuples of elements, one a row."""
    for t in tensors:
        if t.dim() != 1:
            raise RuntimeError("Expect a 1D vector, but got shape {}".format(t.shape))
    if len(tensors) == 1:
        return tensors[0]
    parts: List[Tensor] = []
    for t in grid(tensors, False):
        parts.append(t.flatten())
    return torch.stack(parts, 1)


@op("aten::combinations")
def combinations(self: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements in order, one a row."""
    if self.dim() != 1:
        raise RuntimeError("Expect a 1D vector, but got shape {}".format(self.shape))
    if r < 0:
        raise RuntimeError("Expect a non-negative number, but got {}".format(r))
    if r == 0:
        return torch.empty([0], dtype=self.dtype)
    n = self.size(0)
    # How many there are, and which of all tuples they are: those in order.
    count = 1
    total = 1
    for i in range(r):
        count = count * (n + i if with_replacement else n - i) // (i + 1)
        total = total * n
    if count <= 0:
        return torch.empty([0, r], dtype=self.dtype)
    columns: List[Tensor] = []
    chosen = torch.ones([total], dtype=torch.bool)
    stride = total
    for i in range(r):
        stride = stride // n
        columns.append(torch.arange(total) // stride % n)
        if i > 0:
            ordered = columns[i - 1] <= columns[i] if with_replacement else columns[i - 1] < columns[i]
            chosen = torch.logical_and(chosen, ordered)
    rows = torch.ops.kiln.nonzero(chosen, torch.tensor([total], dtype=torch.long), count).select(1, 0)
    places = torch.stack(columns, 1).index_select(0, rows).reshape([count * r])
    return self.index_select(0, places).reshape([count, r])
