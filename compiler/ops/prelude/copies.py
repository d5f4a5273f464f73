"""Copies of views, and writes to windows of copies."""


@op("aten::diagonal_copy")
def diagonal_copy(self: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of the diagonal."""
    return self.diagonal(offset, dim1, dim2).clone()


@op("aten::expand_copy")
def expand_copy(self: Tensor, size: List[int], *, implicit: bool = False) -> Tensor:
    """A copy of the expanded tensor."""
    return self.expand(size).clone()


@op("aten::transpose_copy.int")
def transpose_copy(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """A copy with two axes exchanged."""
    return self.transpose(dim0, dim1).clone()


@op("aten::permute_copy")
def permute_copy(self: Tensor, dims: List[int]) -> Tensor:
    """A copy with axes in another order."""
    return self.permute(dims).clone()


@op("aten::t_copy")
def t_copy(self: Tensor) -> Tensor:
    """A copy with the two axes exchanged."""
    return self.t().clone()


@op("aten::unsqueeze_copy")
def unsqueeze_copy(self: Tensor, dim: int) -> Tensor:
    """A copy with a new axis."""
    return self.unsqueeze(dim).clone()


@op("aten::squeeze_copy")
def squeeze_copy(self: Tensor) -> Tensor:
    """A copy without axes of size 1."""
    return self.squeeze().clone()


@op("aten::squeeze_copy.dim")
def squeeze_copy_dim(self: Tensor, dim: int) -> Tensor:
    """A copy without an axis of size 1."""
    return self.squeeze(dim).clone()


@op("aten::squeeze_copy.dims")
def squeeze_copy_dims(self: Tensor, dim: List[int]) -> Tensor:
    """A copy without axes of size 1."""
    return self.squeeze(dim).clone()


@op("aten::select_copy.int")
def select_copy(self: Tensor, dim: int, index: int) -> Tensor:
    """A copy of one slice of an axis."""
    return self.select(dim, index).clone()


@op("aten::slice_copy.Tensor")
def slice_copy(self: Tensor, dim: int = 0, start: Optional[int] = None, end: Optional[int] = None, step: int = 1) -> Tensor:
    """A copy of a range of an axis."""
    return torch.slice(self, dim, start, end, step).clone()


@op("aten::unfold_copy")
def unfold_copy(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """A copy of all windows of an axis."""
    return self.unfold(dimension, size, step).clone()


@op("aten::view_copy")
def view_copy(self: Tensor, size: List[int]) -> Tensor:
    """A copy in another shape."""
    return self.view(size).clone()


@op("aten::_reshape_copy")
def reshape_copy(self: Tensor, size: List[int]) -> Tensor:
    """A copy in another shape."""
    return self.clone().reshape(size)


@op("aten::narrow_copy")
def narrow_copy(self: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A copy of a range of an axis."""
    return torch.narrow(self, dim, start, length).clone()


@op("aten::unbind_copy.int")
def unbind_copy(self: Tensor, dim: int = 0) -> List[Tensor]:
    """Copies of the slices of an axis."""
    out: List[Tensor] = []
    for t in torch.unbind(self, dim):
        out.append(t.clone())
    return out


@op("aten::split_copy.Tensor")
def split_copy(self: Tensor, split_size: int, dim: int = 0) -> List[Tensor]:
    """Copies of pieces of an axis."""
    out: List[Tensor] = []
    for t in torch.split(self, split_size, dim):
        out.append(t.clone())
    return out


@op("aten::split_with_sizes_copy")
def split_with_sizes_copy(self: Tensor, split_sizes: List[int], dim: int = 0) -> List[Tensor]:
    """Copies of pieces of an axis."""
    out: List[Tensor] = []
    for t in torch.split_with_sizes(self, split_sizes, dim):
        out.append(t.clone())
    return out


def check_window(window: Tensor, src: Tensor, name: str) -> None:
    """What is written must have the window's shape."""
    if window.shape != src.shape:
        raise RuntimeError("expected src to have a size equal to the slice of self. src size = {}, slice size = {}".format(src.shape, window.shape))


@op("aten::select_scatter")
def select_scatter(self: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy with one slice of an axis replaced."""
    out = self.clone()
    window = out.select(dim, index)
    check_window(window, src, "select")
    window.copy_(src)
    return out


@op("aten::slice_scatter")
def slice_scatter(self: Tensor, src: Tensor, dim: int = 0, start: Optional[int] = None, end: Optional[int] = None, step: int = 1) -> Tensor:
    """A copy with a range of an axis replaced."""
    out = self.clone()
    window = torch.slice(out, dim, start, end, step)
    window.copy_(src.expand(window.shape))
    return out


@op("aten::diagonal_scatter")
def diagonal_scatter(self: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy with the diagonal replaced."""
    out = self.clone()
    window = out.diagonal(offset, dim1, dim2)
    check_window(window, src, "diagonal")
    window.copy_(src)
    return out


@op("aten::tile")
def tile(self: Tensor, dims: List[int]) -> Tensor:
    """Copies along the axes, counted from the last one."""
    missing = self.dim() - len(dims)
    return self.repeat([1] * missing + dims if missing > 0 else dims)


@op("aten::sum_to_size")
def sum_to_size(self: Tensor, size: List[int]) -> Tensor:
    """The sum over axes that would be broadcast from `size`."""
    if len(size) == 0:
        return self.sum()
    lead = self.dim() - len(size)
    if lead < 0:
        raise RuntimeError("size {{{}}} is not expandable to size {{{}}}.".format(size, self.shape))
    axes: List[int] = []
    for i in range(lead):
        axes.append(i)
    for i in range(len(size)):
        if size[i] != self.size(lead + i):
            if size[i] != 1:
                raise RuntimeError("size {{{}}} is not expandable to size {{{}}}.".format(size, self.shape))
            axes.append(lead + i)
    if len(axes) == 0:
        return self
    return self.sum(axes, True).reshape(size)


@op("aten::take_along_dim")
def take_along_dim(self: Tensor, indices: Tensor, dim: Optional[int] = None) -> Tensor:
    """gather with broadcast shapes; without an axis both are flattened"""
    if indices.dtype != torch.long:
        raise RuntimeError("torch.take_along_dim(): dtype of indices should be Long but got {}".format(indices.dtype))
    if dim is None:
        flat = indices.reshape([-1])
        return self.reshape([-1]).gather(0, torch.where(flat < 0, flat + self.numel(), flat))
    if self.dim() != indices.dim():
        raise RuntimeError("torch.take_along_dim(): input and indices should have the same number of dimensions, but got {} dimensions for input, and {} dimensions for indices".format(self.dim(), indices.dim()))
    axis = dim + self.dim() if dim < 0 else dim
    own: List[int] = []
    places: List[int] = []
    for i in range(self.dim()):
        if i == axis:
            own.append(self.size(i))
            places.append(indices.size(i))
        else:
            n = indices.size(i) if self.size(i) == 1 else self.size(i)
            own.append(n)
            places.append(n)
    wrapped = torch.where(indices < 0, indices + self.size(axis), indices)
    return self.expand(own).gather(axis, wrapped.expand(places))


@op("aten::kron")
def kron(self: Tensor, other: Tensor) -> Tensor:
    """Each element of self times all of other."""
    rank = max(self.dim(), other.dim())
    a: List[int] = []
    b: List[int] = []
    sizes: List[int] = []
    for i in range(rank):
        x = self.size(i - rank + self.dim()) if i >= rank - self.dim() else 1
        y = other.size(i - rank + other.dim()) if i >= rank - other.dim() else 1
        a.append(x)
        a.append(1)
        b.append(1)
        b.append(y)
        sizes.append(x * y)
    return (self.reshape(a) * other.reshape(b)).reshape(sizes)


@op("aten::zero")
def zero(self: Tensor) -> Tensor:
    """zeros_like(self)"""
    return torch.zeros_like(self)


def offsets(size: List[int], stride: List[int], first: int) -> Tensor:
    """Offsets of strided elements, flat."""
    places = torch.full([1], first)
    for i in range(len(size)):
        places = (places.unsqueeze(1) + torch.arange(size[i]) * stride[i]).reshape([-1])
    return places


def check_strided(self: Tensor, size: List[int], stride: List[int], storage_offset: Optional[int]) -> int:
    """The offset, if the elements asked for are those of a contiguous tensor."""
    if not self.is_contiguous():
        raise NotImplementedError("kiln: `as_strided` of a tensor that is not contiguous")
    first = 0
    if storage_offset is not None:
        first = storage_offset
    last = first
    empty = False
    for i in range(len(size)):
        last = last + (size[i] - 1) * stride[i]
        if size[i] == 0:
            empty = True
    if last >= self.numel() and not empty:
        raise NotImplementedError("kiln: `as_strided` beyond the elements of the tensor")
    return first


@op("aten::as_strided_copy")
def as_strided_copy(self: Tensor, size: List[int], stride: List[int], storage_offset: Optional[int] = None) -> Tensor:
    """A copy of elements at strides of the memory."""
    first = check_strided(self, size, stride, storage_offset)
    return self.reshape([-1]).index_select(0, offsets(size, stride, first)).reshape(size)


@op("aten::as_strided_scatter")
def as_strided_scatter(self: Tensor, src: Tensor, size: List[int], stride: List[int], storage_offset: Optional[int] = None) -> Tensor:
    """A copy with the elements at strides of the memory replaced."""
    first = check_strided(self, size, stride, storage_offset)
    if src.shape != size:
        raise RuntimeError("expected src to have a size equal to the slice of self. src size = {}, slice size = {}".format(src.shape, size))
    return self.reshape([-1]).scatter(0, offsets(size, stride, first), src.reshape([-1])).reshape(self.shape)
