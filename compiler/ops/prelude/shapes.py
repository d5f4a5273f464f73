"""Views and movement of elements as compositions of core ones."""


@op("aten::narrow")
def narrow(self: Tensor, dim: int, start: int, length: int) -> Tensor:
    """length positions of an axis from start on"""
    if self.dim() == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    size = self.size(dim)
    if start < -size or start > size:
        raise IndexError("start out of range (expected to be in range of [{}, {}], but got {})".format(-size, size, start))
    first = start + size if start < 0 else start
    if first + length > size:
        raise RuntimeError("start ({}) + length ({}) exceeds dimension size ({}).".format(first, length, size))
    return torch.slice(self, dim, first, first + length, 1)


@op("aten::narrow.Tensor")
def narrow_from_tensor(self: Tensor, dim: int, start: Tensor, length: int) -> Tensor:
    """length positions of an axis from start on"""
    return torch.narrow(self, dim, int(start), length)


@op("aten::movedim.int", "aten::moveaxis.int")
def movedim_one(self: Tensor, source: int, destination: int) -> Tensor:
    """one axis moved to another place"""
    return torch.movedim(self, [source], [destination])


@op("aten::movedim.intlist", "aten::moveaxis.intlist")
def movedim(self: Tensor, source: List[int], destination: List[int]) -> Tensor:
    """axes moved to other places, the others staying in order"""
    rank = self.dim()
    if len(source) != len(destination):
        raise RuntimeError("movedim: Invalid source or destination dims: source ({} dims) should contain the same number of dims as destination ({} dims)".format(source, destination))
    order = [-1] * rank
    used = [False] * rank
    for i in range(len(source)):
        to = wrapped(destination[i], rank)
        axis = wrapped(source[i], rank)
        if rank > 0:
            if order[to] != -1 or used[axis]:
                raise RuntimeError("movedim: repeated dim in `source` or `destination` ({}, {})".format(source, destination))
            order[to] = axis
            used[axis] = True
    next = 0
    for to in range(rank):
        if order[to] == -1:
            while used[next]:
                next += 1
            order[to] = next
            used[next] = True
    return self.permute(order)


def wrapped(axis: int, rank: int) -> int:
    """An axis in 0..rank; a scalar counts as rank 1."""
    count = max(rank, 1)
    if axis < -count or axis >= count:
        raise IndexError("Dimension out of range (expected to be in range of [{}, {}], but got {})".format(-count, count - 1, axis))
    return axis + count if axis < 0 else axis


@op("aten::numpy_T")
def numpy_t(self: Tensor) -> Tensor:
    """all axes in reverse order"""
    order: List[int] = []
    for i in range(self.dim()):
        order.append(self.dim() - 1 - i)
    return self.permute(order)


@op("aten::mT", "aten::mH", "aten::adjoint")
def matrix_transpose(self: Tensor) -> Tensor:
    """the last two axes exchanged"""
    if self.dim() < 2:
        raise RuntimeError("tensor.mT is only supported on matrices or batches of matrices. Got {}-D tensor.".format(self.dim()))
    return self.transpose(-2, -1)


@op("aten::matrix_H")
def matrix_h(self: Tensor) -> Tensor:
    """a matrix transposed"""
    if self.dim() != 0 and self.dim() != 2:
        raise RuntimeError("tensor.H is only supported on matrices (2-D tensors). Got {}-D tensor.".format(self.dim()))
    return self if self.dim() == 0 else self.transpose(0, 1)


@op("aten::flatten.using_ints")
def flatten(self: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """axes start_dim to end_dim as one"""
    rank = self.dim()
    first = wrapped(start_dim, rank)
    last = wrapped(end_dim, rank)
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if rank == 0:
        return self.reshape([1])
    if first == last:
        return self
    count = 1
    for i in range(first, last + 1):
        count = count * self.size(i)
    return self.reshape(self.shape[:first] + [count] + self.shape[last + 1:])


@op("aten::unflatten.int")
def unflatten(self: Tensor, dim: int, sizes: List[int]) -> Tensor:
    """one axis as several"""
    axis = wrapped(dim, self.dim())
    if len(sizes) == 0:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = 1
    unknown = -1
    for i in range(len(sizes)):
        if sizes[i] == -1:
            unknown = i
        else:
            known = known * sizes[i]
    own = list(sizes)
    if unknown >= 0 and known != 0:
        own[unknown] = self.size(axis) // known
        known = known * own[unknown]
    if known != self.size(axis):
        raise RuntimeError("unflatten: Provided sizes {} don't multiply up to the size of dim {} ({}) in the input tensor".format(sizes, axis, self.size(axis)))
    return self.view(self.shape[:axis] + own + self.shape[axis + 1:])


@op("aten::ravel")
def ravel(self: Tensor) -> Tensor:
    """all axes as one"""
    return self.contiguous().view([-1])


@op("aten::expand_as")
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """self expanded to the sizes of other"""
    return self.expand(other.shape)


@op("aten::view_as")
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """self viewed with the sizes of other"""
    return self.view(other.shape)


@op("aten::reshape_as")
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """self reshaped to the sizes of other"""
    return self.reshape(other.shape)


@op("aten::_reshape_alias")
def reshape_alias(self: Tensor, size: List[int], stride: List[int]) -> Tensor:
    """self viewed with sizes; the strides follow"""
    return self.view(size)


@op("aten::atleast_1d")
def atleast_1d(self: Tensor) -> Tensor:
    """with at least one axis"""
    return self.reshape([1]) if self.dim() == 0 else self


@op("aten::atleast_2d")
def atleast_2d(self: Tensor) -> Tensor:
    """with at least two axes"""
    if self.dim() == 0:
        return self.reshape([1, 1])
    return self.unsqueeze(0) if self.dim() == 1 else self


@op("aten::atleast_3d")
def atleast_3d(self: Tensor) -> Tensor:
    """with at least three axes"""
    if self.dim() == 0:
        return self.reshape([1, 1, 1])
    if self.dim() == 1:
        return self.unsqueeze(0).unsqueeze(-1)
    return self.unsqueeze(-1) if self.dim() == 2 else self


@op("aten::atleast_1d.Sequence")
def all_atleast_1d(tensors: List[Tensor]) -> List[Tensor]:
    """each with at least one axis"""
    return [torch.atleast_1d(t) for t in tensors]


@op("aten::atleast_2d.Sequence")
def all_atleast_2d(tensors: List[Tensor]) -> List[Tensor]:
    """each with at least two axes"""
    return [torch.atleast_2d(t) for t in tensors]


@op("aten::atleast_3d.Sequence")
def all_atleast_3d(tensors: List[Tensor]) -> List[Tensor]:
    """each with at least three axes"""
    return [torch.atleast_3d(t) for t in tensors]


@op("aten::rot90")
def rot90(self: Tensor, k: int = 1, dims: List[int] = [0, 1]) -> Tensor:
    """turned k times by 90 degrees in the plane of two axes"""
    if len(dims) != 2:
        raise RuntimeError("expected total rotation dims == 2, but got dims = {}".format(len(dims)))
    if self.dim() < 2:
        raise RuntimeError("expected total dims >= 2, but got total dims = {}".format(self.dim()))
    turns = k % 4
    if turns == 1:
        return self.flip([dims[1]]).transpose(dims[0], dims[1])
    if turns == 2:
        return self.flip(dims)
    if turns == 3:
        return self.flip([dims[0]]).transpose(dims[0], dims[1])
    return self.clone()


@op("aten::fliplr")
def fliplr(self: Tensor) -> Tensor:
    """columns in reverse order"""
    if self.dim() < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return self.flip([1])


@op("aten::flipud")
def flipud(self: Tensor) -> Tensor:
    """rows in reverse order"""
    if self.dim() < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return self.flip([0])


@op("aten::diag")
def diag(self: Tensor, diagonal: int = 0) -> Tensor:
    """the diagonal of a matrix, or a matrix with a diagonal"""
    if self.dim() == 1:
        return torch.diag_embed(self, diagonal)
    if self.dim() != 2:
        raise RuntimeError("diag(): Supports 1D or 2D tensors. Got {}D".format(self.dim()))
    return torch.diagonal(self, diagonal).clone()


@op("aten::diagflat")
def diagflat(self: Tensor, offset: int = 0) -> Tensor:
    """a matrix with all elements along a diagonal"""
    return torch.diag_embed(self.reshape([-1]), offset)


@op("aten::linalg_diagonal")
def linalg_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """the diagonal of two axes"""
    return torch.diagonal(A, offset, dim1, dim2)


@op("aten::trace")
def trace(self: Tensor) -> Tensor:
    """the sum of the diagonal"""
    if self.dim() != 2:
        raise RuntimeError("trace: expected a matrix, but got tensor with dim {}".format(self.dim()))
    return torch.diagonal(self).sum()


@op("aten::pixel_shuffle")
def pixel_shuffle(self: Tensor, upscale_factor: int) -> Tensor:
    """channels spread over squares of pixels"""
    if self.dim() < 3:
        raise RuntimeError("pixel_shuffle expects input to have at least 3 dimensions, but got input with {} dimension(s)".format(self.dim()))
    if upscale_factor <= 0:
        raise RuntimeError("pixel_shuffle expects a positive upscale_factor, but got {}".format(upscale_factor))
    r = upscale_factor
    channels = self.size(-3) // (r * r)
    if channels * r * r != self.size(-3):
        raise RuntimeError("pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)={} is not divisible by {}".format(self.size(-3), r * r))
    height = self.size(-2)
    width = self.size(-1)
    outer = self.shape[:-3]
    n = len(outer)
    order = list(range(n)) + [n, n + 3, n + 1, n + 4, n + 2]
    return self.reshape(outer + [channels, r, r, height, width]).permute(order).reshape(outer + [channels, height * r, width * r])


@op("aten::pixel_unshuffle")
def pixel_unshuffle(self: Tensor, downscale_factor: int) -> Tensor:
    """squares of pixels gathered into channels"""
    if self.dim() < 3:
        raise RuntimeError("pixel_unshuffle expects input to have at least 3 dimensions, but got input with {} dimension(s)".format(self.dim()))
    if downscale_factor <= 0:
        raise RuntimeError("pixel_unshuffle expects a positive downscale_factor, but got {}".format(downscale_factor))
    r = downscale_factor
    height = self.size(-2) // r
    width = self.size(-1) // r
    if height * r != self.size(-2) or width * r != self.size(-1):
        raise RuntimeError("pixel_unshuffle expects height and width to be divisible by downscale_factor")
    outer = self.shape[:-3]
    channels = self.size(-3)
    n = len(outer)
    order = list(range(n)) + [n, n + 2, n + 4, n + 1, n + 3]
    return self.reshape(outer + [channels, height, r, width, r]).permute(order).reshape(outer + [channels * r * r, height, width])


@op("aten::channel_shuffle", "aten::native_channel_shuffle")
def channel_shuffle(self: Tensor, groups: int) -> Tensor:
    """channels of the groups taken in turns"""
    if self.dim() <= 2:
        raise RuntimeError("channel_shuffle expects input with > 2 dims, but got input with sizes {}".format(self.shape))
    if groups <= 0 or self.size(1) % groups != 0:
        raise RuntimeError("Number of channels must be divisible by groups. Got {} channels and {} groups.".format(self.size(1), groups))
    rest = self.shape[2:]
    grouped = self.reshape([self.size(0), groups, self.size(1) // groups] + rest)
    return grouped.transpose(1, 2).reshape(self.shape)


@op("aten::pad")
def pad(self: Tensor, pad: List[int], mode: str = "constant", value: Optional[float] = None) -> Tensor:
    """a border of a value, or of what the mode says"""
    if mode == "constant":
        return torch.constant_pad_nd(self, pad, 0.0 if value is None else value)
    if value is not None and value != 0.0:
        raise RuntimeError("Padding mode \"{}\" doesn't take in value argument".format(mode))
    axes = len(pad) // 2
    if len(pad) % 2 != 0 or axes < 1 or axes > 3:
        raise NotImplementedError("Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now")
    if mode == "reflect":
        if axes == 1:
            return torch.ops.aten.reflection_pad1d(self, pad)
        return torch.ops.aten.reflection_pad2d(self, pad) if axes == 2 else torch.ops.aten.reflection_pad3d(self, pad)
    if mode == "replicate":
        if axes == 1:
            return torch.ops.aten.replication_pad1d(self, pad)
        return torch.ops.aten.replication_pad2d(self, pad) if axes == 2 else torch.ops.aten.replication_pad3d(self, pad)
    if mode == "circular":
        return torch.ops.aten._pad_circular(self, pad)
    raise NotImplementedError("Unrecognised padding mode {}".format(mode))


@op("aten::_pad_enum")
def pad_enum(self: Tensor, pad: List[int], mode: int, value: Optional[float] = None) -> Tensor:
    """as pad, with the mode as a number"""
    names = ["reflect", "replicate", "circular", "constant"]
    return torch.ops.aten.pad(self, pad, names[mode], value)
