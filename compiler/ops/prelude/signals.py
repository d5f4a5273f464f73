"""Windows and frequencies of signal processing."""


def window_dtype(dtype: Optional[int]) -> int:
    """The element type of a window: a float, binary32 unless given."""
    if dtype is None:
        return torch.float
    return dtype


def window_places(length: int, periodic: bool, dtype: int) -> Tensor:
    """0 to 1 over a window; a periodic one ends before 1."""
    count = length + 1 if periodic else length
    return torch.arange(length, dtype=dtype) / float(max(count - 1, 1))


def cosine_window(length: int, periodic: bool, a: float, b: float, c: float, dtype: int) -> Tensor:
    """a - b cos(2 pi x) + c cos(4 pi x)"""
    if length < 0:
        raise RuntimeError("window_length must be non-negative, got {}".format(length))
    if length == 1:
        return torch.ones([1], dtype=dtype)
    x = window_places(length, periodic, torch.double)
    out = a - b * torch.cos(x * 6.283185307179586) + c * torch.cos(x * 12.566370614359172)
    return out.to(dtype)


@op("aten::hann_window")
def hann_window(window_length: int, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """0.5 - 0.5 cos(2 pi x)"""
    return cosine_window(window_length, True, 0.5, 0.5, 0.0, window_dtype(dtype))


@op("aten::hann_window.periodic")
def hann_window_periodic(window_length: int, periodic: bool, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """0.5 - 0.5 cos(2 pi x)"""
    return cosine_window(window_length, periodic, 0.5, 0.5, 0.0, window_dtype(dtype))


@op("aten::hamming_window")
def hamming_window(window_length: int, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """0.54 - 0.46 cos(2 pi x)"""
    return cosine_window(window_length, True, 0.54, 0.46, 0.0, window_dtype(dtype))


@op("aten::hamming_window.periodic")
def hamming_window_periodic(window_length: int, periodic: bool, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """0.54 - 0.46 cos(2 pi x)"""
    return cosine_window(window_length, periodic, 0.54, 0.46, 0.0, window_dtype(dtype))


@op("aten::hamming_window.periodic_alpha")
def hamming_window_alpha(window_length: int, periodic: bool, alpha: float, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """alpha - 0.46 cos(2 pi x)"""
    return cosine_window(window_length, periodic, alpha, 0.46, 0.0, window_dtype(dtype))


@op("aten::hamming_window.periodic_alpha_beta")
def hamming_window_alpha_beta(window_length: int, periodic: bool, alpha: float, beta: float, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """alpha - beta cos(2 pi x)"""
    return cosine_window(window_length, periodic, alpha, beta, 0.0, window_dtype(dtype))


@op("aten::blackman_window")
def blackman_window(window_length: int, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """0.42 - 0.5 cos(2 pi x) + 0.08 cos(4 pi x)"""
    return cosine_window(window_length, True, 0.42, 0.5, 0.08, window_dtype(dtype))


@op("aten::blackman_window.periodic")
def blackman_window_periodic(window_length: int, periodic: bool, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """0.42 - 0.5 cos(2 pi x) + 0.08 cos(4 pi x)"""
    return cosine_window(window_length, periodic, 0.42, 0.5, 0.08, window_dtype(dtype))


def triangle_window(length: int, periodic: bool, dtype: int) -> Tensor:
    """1 - |2 x - 1|"""
    if length < 0:
        raise RuntimeError("window_length must be non-negative, got {}".format(length))
    if length == 1:
        return torch.ones([1], dtype=dtype)
    x = window_places(length, periodic, torch.double)
    return (1.0 - torch.abs(2.0 * x - 1.0)).to(dtype)


@op("aten::bartlett_window")
def bartlett_window(window_length: int, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """1 - |2 x - 1|"""
    return triangle_window(window_length, True, window_dtype(dtype))


@op("aten::bartlett_window.periodic")
def bartlett_window_periodic(window_length: int, periodic: bool, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """1 - |2 x - 1|"""
    return triangle_window(window_length, periodic, window_dtype(dtype))


@op("aten::fft_fftshift")
def fftshift(self: Tensor, dim: Optional[List[int]] = None) -> Tensor:
    """zero frequency moved to the middle"""
    axes = list(range(self.dim())) if dim is None else dim
    return self.roll([self.size(axis) // 2 for axis in axes], axes) if len(axes) > 0 else self.clone()


@op("aten::fft_ifftshift")
def ifftshift(self: Tensor, dim: Optional[List[int]] = None) -> Tensor:
    """zero frequency moved to the beginning"""
    axes = list(range(self.dim())) if dim is None else dim
    return self.roll([(self.size(axis) + 1) // 2 for axis in axes], axes) if len(axes) > 0 else self.clone()


@op("aten::fft_fftfreq")
def fftfreq(n: int, d: float = 1.0, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """the frequencies of fft"""
    places = torch.arange(n)
    wrapped = torch.where(places >= (n + 1) // 2, places - n, places)
    return (wrapped.to(torch.double) / (n * d)).to(window_dtype(dtype))


@op("aten::fft_rfftfreq")
def rfftfreq(n: int, d: float = 1.0, *, dtype: Optional[int] = None, layout: Optional[int] = None, device: Optional[Device] = None, pin_memory: Optional[bool] = None) -> Tensor:
    """the frequencies of rfft"""
    return (torch.arange(n // 2 + 1).to(torch.double) / (n * d)).to(window_dtype(dtype))
