"""Histograms: how many points are in each of the boxes between edges."""


def outer_edges(x: Tensor, range: Optional[List[float]], axis: int) -> Tuple[Tensor, Tensor]:
    """The lowest and the highest edge along an axis: given, or of the data; one apart where they are equal."""
    if range is not None:
        low = torch.full([], range[2 * axis], dtype=x.dtype)
        high = torch.full([], range[2 * axis + 1], dtype=x.dtype)
    elif x.numel() == 0:
        low = torch.zeros([], dtype=x.dtype)
        high = torch.ones([], dtype=x.dtype)
    else:
        low = x.select(1, axis).amin()
        high = x.select(1, axis).amax()
    equal = low == high
    return torch.where(equal, low - 0.5, low), torch.where(equal, high + 0.5, high)


def equal_edges(x: Tensor, bins: int, range: Optional[List[float]], axis: int) -> Tensor:
    """Edges at equal distances, as linspace gives them."""
    if bins <= 0:
        raise RuntimeError("torch.histogramdd(): bins must be > 0, but got {} for dimension {}".format(bins, axis))
    low, high = outer_edges(x, range, axis)
    step = (high - low) / bins
    place = torch.arange(bins + 1)
    up = low + step * place.to(x.dtype)
    down = high - step * (bins - place).to(x.dtype)
    return torch.where(place < (bins + 1) // 2, up, down)


def counted(x: Tensor, edges: List[Tensor], weight: Optional[Tensor], density: bool) -> Tensor:
    """Sums of weights in the boxes between edges, for points [points, axes]; the highest edge is inside."""
    n = x.size(0)
    flat = torch.zeros([n], dtype=torch.long)
    inside = torch.ones([n], dtype=torch.bool)
    sizes: List[int] = []
    total = 1
    for axis in range(x.size(1)):
        own = x.select(1, axis).contiguous()
        e = edges[axis]
        bins = e.size(0) - 1
        place = torch.searchsorted(e, own, right=True) - 1
        place = torch.where(own == e[bins], torch.full_like(place, bins - 1), place)
        inside = torch.logical_and(inside, torch.logical_and(own >= e[0], own <= e[bins]))
        flat = flat * bins + torch.clamp(place, min=0, max=bins - 1)
        sizes.append(bins)
        total = total * bins
    w = torch.ones([n], dtype=x.dtype)
    if weight is not None:
        w = weight.reshape([-1])
    w = torch.where(inside, w, torch.zeros_like(w))
    hist = torch.zeros([total], dtype=x.dtype).index_add(0, flat, w).reshape(sizes)
    if density:
        hist = hist / hist.sum()
        for axis in range(x.size(1)):
            shape = [1] * x.size(1)
            shape[axis] = sizes[axis]
            hist = hist / torch.diff(edges[axis]).reshape(shape)
    return hist


def points(self: Tensor) -> Tensor:
    """All axes but the last as one."""
    if self.dim() < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions, but got {}".format(self.dim()))
    return self.reshape([-1, self.size(-1)])


@op("aten::histogram.bins_tensor")
def histogram_edges(self: Tensor, bins: Tensor, *, weight: Optional[Tensor] = None, density: bool = False) -> Tuple[Tensor, Tensor]:
    """Counts between given edges, and the edges"""
    return counted(self.reshape([-1, 1]), [bins], weight, density), bins


@op("aten::histogram.bin_ct")
def histogram(self: Tensor, bins: int = 100, *, range: Optional[List[float]] = None, weight: Optional[Tensor] = None, density: bool = False) -> Tuple[Tensor, Tensor]:
    """Counts in equal bins, and their edges"""
    x = self.reshape([-1, 1])
    edges = equal_edges(x, bins, range, 0)
    return counted(x, [edges], weight, density), edges


@op("aten::histogramdd.TensorList_bins")
def histogramdd_edges(self: Tensor, bins: List[Tensor], range: Optional[List[float]] = None, weight: Optional[Tensor] = None, density: bool = False) -> Tuple[Tensor, List[Tensor]]:
    """Counts in the boxes between given edges, and the edges"""
    return counted(points(self), bins, weight, density), bins


@op("aten::histogramdd")
def histogramdd(self: Tensor, bins: List[int], range: Optional[List[float]] = None, weight: Optional[Tensor] = None, density: bool = False) -> Tuple[Tensor, List[Tensor]]:
    """Counts in equal boxes, and their edges"""
    x = points(self)
    edges: List[Tensor] = []
    axis = 0
    for n in bins:
        edges.append(equal_edges(x, n, range, axis))
        axis = axis + 1
    return counted(x, edges, weight, density), edges


@op("aten::histogramdd.int_bins")
def histogramdd_one(self: Tensor, bins: int, range: Optional[List[float]] = None, weight: Optional[Tensor] = None, density: bool = False) -> Tuple[Tensor, List[Tensor]]:
    """Counts in equal boxes, and their edges"""
    return torch.histogramdd(self, [bins] * self.size(-1), range, weight, density)
