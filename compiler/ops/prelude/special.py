"""Orthogonal polynomials by their recurrences; the degree is rounded towards zero, a negative one gives 0."""


def polynomial(x: Tensor, n: Tensor, family: str) -> Tensor:
    """p(k + 1) = (a + b x) p(k) - c p(k - 1), up to the largest degree among n."""
    both = x + n
    dtype = both.dtype if both.is_floating_point() else torch.float
    if dtype == torch.half or dtype == torch.bfloat16:
        raise NotImplementedError("\"{}\" not implemented for 16-bit floats".format(family))
    degree = (n + torch.zeros_like(x)).to(torch.int64)
    at = x.to(dtype) + torch.zeros(degree.shape, dtype=dtype)
    if family.startswith("shifted"):
        at = at + at - 1.0
    before = torch.ones_like(at)
    p = first_degree(at, family)
    out = torch.where(degree == 0, before, torch.where(degree < 0, torch.zeros_like(at), p))
    largest = 0 if degree.numel() == 0 else int(degree.max())
    for k in range(1, largest):
        following = next_degree(at, p, before, float(k), family)
        before = p
        p = following
        out = torch.where(degree > k, p, out)
    return out


def first_degree(x: Tensor, family: str) -> Tensor:
    """The polynomial of degree 1."""
    if family == "chebyshev_u" or family == "shifted_chebyshev_u" or family == "hermite_h":
        return x + x
    if family == "chebyshev_v" or family == "shifted_chebyshev_v":
        return x + x - 1.0
    if family == "chebyshev_w" or family == "shifted_chebyshev_w":
        return x + x + 1.0
    if family == "laguerre_l":
        return 1.0 - x
    return x


def next_degree(x: Tensor, p: Tensor, before: Tensor, k: float, family: str) -> Tensor:
    """The polynomial of degree k + 1 from those of degrees k and k - 1."""
    if family == "hermite_h":
        return (x + x) * p - (2.0 * k) * before
    if family == "hermite_he":
        return x * p - k * before
    if family == "laguerre_l":
        return ((2.0 * k + 1.0 - x) * p - k * before) / (k + 1.0)
    if family == "legendre_p":
        return ((2.0 * k + 1.0) * x * p - k * before) / (k + 1.0)
    return (x + x) * p - before


@op("aten::special_chebyshev_polynomial_t")
def chebyshev_t(x: Tensor, n: Tensor) -> Tensor:
    """Chebyshev polynomials of the first kind"""
    return polynomial(x, n, "chebyshev_t")


@op("aten::special_chebyshev_polynomial_t.n_scalar")
def chebyshev_t_of_degree(x: Tensor, n: number) -> Tensor:
    """Chebyshev polynomials of the first kind"""
    return polynomial(x, torch.full([], int(n)), "chebyshev_t")


@op("aten::special_chebyshev_polynomial_t.x_scalar")
def chebyshev_t_at(x: number, n: Tensor) -> Tensor:
    """Chebyshev polynomials of the first kind"""
    return polynomial(torch.full([], float(x)), n, "chebyshev_t")


@op("aten::special_chebyshev_polynomial_u")
def chebyshev_u(x: Tensor, n: Tensor) -> Tensor:
    """Chebyshev polynomials of the second kind"""
    return polynomial(x, n, "chebyshev_u")


@op("aten::special_chebyshev_polynomial_u.n_scalar")
def chebyshev_u_of_degree(x: Tensor, n: number) -> Tensor:
    """Chebyshev polynomials of the second kind"""
    return polynomial(x, torch.full([], int(n)), "chebyshev_u")


@op("aten::special_chebyshev_polynomial_u.x_scalar")
def chebyshev_u_at(x: number, n: Tensor) -> Tensor:
    """Chebyshev polynomials of the second kind"""
    return polynomial(torch.full([], float(x)), n, "chebyshev_u")


@op("aten::special_chebyshev_polynomial_v")
def chebyshev_v(x: Tensor, n: Tensor) -> Tensor:
    """Chebyshev polynomials of the third kind"""
    return polynomial(x, n, "chebyshev_v")


@op("aten::special_chebyshev_polynomial_v.n_scalar")
def chebyshev_v_of_degree(x: Tensor, n: number) -> Tensor:
    """Chebyshev polynomials of the third kind"""
    return polynomial(x, torch.full([], int(n)), "chebyshev_v")


@op("aten::special_chebyshev_polynomial_v.x_scalar")
def chebyshev_v_at(x: number, n: Tensor) -> Tensor:
    """Chebyshev polynomials of the third kind"""
    return polynomial(torch.full([], float(x)), n, "chebyshev_v")


@op("aten::special_chebyshev_polynomial_w")
def chebyshev_w(x: Tensor, n: Tensor) -> Tensor:
    """Chebyshev polynomials of the fourth kind"""
    return polynomial(x, n, "chebyshev_w")


@op("aten::special_chebyshev_polynomial_w.n_scalar")
def chebyshev_w_of_degree(x: Tensor, n: number) -> Tensor:
    """Chebyshev polynomials of the fourth kind"""
    return polynomial(x, torch.full([], int(n)), "chebyshev_w")


@op("aten::special_chebyshev_polynomial_w.x_scalar")
def chebyshev_w_at(x: number, n: Tensor) -> Tensor:
    """Chebyshev polynomials of the fourth kind"""
    return polynomial(torch.full([], float(x)), n, "chebyshev_w")


@op("aten::special_shifted_chebyshev_polynomial_t")
def shifted_chebyshev_t(x: Tensor, n: Tensor) -> Tensor:
    """shifted Chebyshev polynomials of the first kind"""
    return polynomial(x, n, "shifted_chebyshev_t")


@op("aten::special_shifted_chebyshev_polynomial_t.n_scalar")
def shifted_chebyshev_t_of_degree(x: Tensor, n: number) -> Tensor:
    """shifted Chebyshev polynomials of the first kind"""
    return polynomial(x, torch.full([], int(n)), "shifted_chebyshev_t")


@op("aten::special_shifted_chebyshev_polynomial_t.x_scalar")
def shifted_chebyshev_t_at(x: number, n: Tensor) -> Tensor:
    """shifted Chebyshev polynomials of the first kind"""
    return polynomial(torch.full([], float(x)), n, "shifted_chebyshev_t")


@op("aten::special_shifted_chebyshev_polynomial_u")
def shifted_chebyshev_u(x: Tensor, n: Tensor) -> Tensor:
    """shifted Chebyshev polynomials of the second kind"""
    return polynomial(x, n, "shifted_chebyshev_u")


@op("aten::special_shifted_chebyshev_polynomial_u.n_scalar")
def shifted_chebyshev_u_of_degree(x: Tensor, n: number) -> Tensor:
    """shifted Chebyshev polynomials of the second kind"""
    return polynomial(x, torch.full([], int(n)), "shifted_chebyshev_u")


@op("aten::special_shifted_chebyshev_polynomial_u.x_scalar")
def shifted_chebyshev_u_at(x: number, n: Tensor) -> Tensor:
    """shifted Chebyshev polynomials of the second kind"""
    return polynomial(torch.full([], float(x)), n, "shifted_chebyshev_u")


@op("aten::special_shifted_chebyshev_polynomial_v")
def shifted_chebyshev_v(x: Tensor, n: Tensor) -> Tensor:
    """shifted Chebyshev polynomials of the third kind"""
    return polynomial(x, n, "shifted_chebyshev_v")


@op("aten::special_shifted_chebyshev_polynomial_v.n_scalar")
def shifted_chebyshev_v_of_degree(x: Tensor, n: number) -> Tensor:
    """shifted Chebyshev polynomials of the third kind"""
    return polynomial(x, torch.full([], int(n)), "shifted_chebyshev_v")


@op("aten::special_shifted_chebyshev_polynomial_v.x_scalar")
def shifted_chebyshev_v_at(x: number, n: Tensor) -> Tensor:
    """shifted Chebyshev polynomials of the third kind"""
    return polynomial(torch.full([], float(x)), n, "shifted_chebyshev_v")


@op("aten::special_shifted_chebyshev_polynomial_w")
def shifted_chebyshev_w(x: Tensor, n: Tensor) -> Tensor:
    """shifted Chebyshev polynomials of the fourth kind"""
    return polynomial(x, n, "shifted_chebyshev_w")


@op("aten::special_shifted_chebyshev_polynomial_w.n_scalar")
def shifted_chebyshev_w_of_degree(x: Tensor, n: number) -> Tensor:
    """shifted Chebyshev polynomials of the fourth kind"""
    return polynomial(x, torch.full([], int(n)), "shifted_chebyshev_w")


@op("aten::special_shifted_chebyshev_polynomial_w.x_scalar")
def shifted_chebyshev_w_at(x: number, n: Tensor) -> Tensor:
    """shifted Chebyshev polynomials of the fourth kind"""
    return polynomial(torch.full([], float(x)), n, "shifted_chebyshev_w")


@op("aten::special_hermite_polynomial_h")
def hermite_h(x: Tensor, n: Tensor) -> Tensor:
    """the physicist's Hermite polynomials"""
    return polynomial(x, n, "hermite_h")


@op("aten::special_hermite_polynomial_h.n_scalar")
def hermite_h_of_degree(x: Tensor, n: number) -> Tensor:
    """the physicist's Hermite polynomials"""
    return polynomial(x, torch.full([], int(n)), "hermite_h")


@op("aten::special_hermite_polynomial_h.x_scalar")
def hermite_h_at(x: number, n: Tensor) -> Tensor:
    """the physicist's Hermite polynomials"""
    return polynomial(torch.full([], float(x)), n, "hermite_h")


@op("aten::special_hermite_polynomial_he")
def hermite_he(x: Tensor, n: Tensor) -> Tensor:
    """the probabilist's Hermite polynomials"""
    return polynomial(x, n, "hermite_he")


@op("aten::special_hermite_polynomial_he.n_scalar")
def hermite_he_of_degree(x: Tensor, n: number) -> Tensor:
    """the probabilist's Hermite polynomials"""
    return polynomial(x, torch.full([], int(n)), "hermite_he")


@op("aten::special_hermite_polynomial_he.x_scalar")
def hermite_he_at(x: number, n: Tensor) -> Tensor:
    """the probabilist's Hermite polynomials"""
    return polynomial(torch.full([], float(x)), n, "hermite_he")


@op("aten::special_laguerre_polynomial_l")
def laguerre_l(x: Tensor, n: Tensor) -> Tensor:
    """Laguerre polynomials"""
    return polynomial(x, n, "laguerre_l")


@op("aten::special_laguerre_polynomial_l.n_scalar")
def laguerre_l_of_degree(x: Tensor, n: number) -> Tensor:
    """Laguerre polynomials"""
    return polynomial(x, torch.full([], int(n)), "laguerre_l")


@op("aten::special_laguerre_polynomial_l.x_scalar")
def laguerre_l_at(x: number, n: Tensor) -> Tensor:
    """Laguerre polynomials"""
    return polynomial(torch.full([], float(x)), n, "laguerre_l")


@op("aten::special_legendre_polynomial_p")
def legendre_p(x: Tensor, n: Tensor) -> Tensor:
    """Legendre polynomials"""
    return polynomial(x, n, "legendre_p")


@op("aten::special_legendre_polynomial_p.n_scalar")
def legendre_p_of_degree(x: Tensor, n: number) -> Tensor:
    """Legendre polynomials"""
    return polynomial(x, torch.full([], int(n)), "legendre_p")


@op("aten::special_legendre_polynomial_p.x_scalar")
def legendre_p_at(x: number, n: Tensor) -> Tensor:
    """Legendre polynomials"""
    return polynomial(torch.full([], float(x)), n, "legendre_p")
