"""Linear algebra: norms of matrices, least squares, reflections, roots, and products of vectors."""


def widened(self: Tensor, dtype: Optional[int]) -> Tensor:
    """16-bit floats in binary32, or the type asked for."""
    if dtype is not None:
        return self.to(dtype)
    return self.to(torch.float) if self.dtype == torch.half or self.dtype == torch.bfloat16 else self


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
    if p > 0.0 and x.size(other) == 0:
        # The largest of no sums is 0; there is no smallest.
        return sums.sum(axes, keepdim).to(out_dtype)
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


@op("aten::linalg_matmul")
def linalg_matmul(self: Tensor, other: Tensor) -> Tensor:
    """matmul"""
    return torch.matmul(self, other)


@op("aten::vander")
def vander(x: Tensor, N: Optional[int] = None, increasing: bool = False) -> Tensor:
    """Powers of a vector's elements, the highest first"""
    out = torch.linalg_vander(x, N=N)
    return out if increasing else out.flip([-1])


@op("aten::linalg_tensorinv")
def tensorinv(self: Tensor, ind: int = 2) -> Tensor:
    """The inverse of the matrix of the first `ind` axes by the others"""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    rows = 1
    for n in self.shape[:ind]:
        rows = rows * n
    columns = 1
    for n in self.shape[ind:]:
        columns = columns * n
    if rows != columns:
        raise RuntimeError("Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got {} != {}".format(columns, rows))
    return torch.linalg_inv(self.reshape([rows, columns])).reshape(self.shape[ind:] + self.shape[:ind])


@op("aten::linalg_tensorsolve")
def tensorsolve(self: Tensor, other: Tensor, dims: Optional[List[int]] = None) -> Tensor:
    """x of tensordot(self, x) = other"""
    a = self
    if dims is not None:
        last: List[int] = []
        for i in range(len(dims)):
            last.append(self.dim() - len(dims) + i)
        a = torch.movedim(self, dims, last)
    shape = a.shape[other.dim():]
    count = 1
    for n in shape:
        count = count * n
    if other.numel() != count:
        raise RuntimeError("Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got {} != {}".format(count, other.numel()))
    return torch.linalg_solve(a.reshape([count, count]), other.flatten()).reshape(shape)


@op("aten::linalg_lstsq")
def lstsq(self: Tensor, b: Tensor, rcond: Optional[float] = None, *, driver: Optional[str] = None) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """x that minimises |self x - b|, the residuals, the rank and the singular values"""
    is_vector = self.dim() - 1 == b.dim() and b.shape == self.shape[:-1]
    m = b.unsqueeze(-1) if is_vector else b
    batch = torch._infer_size(self.shape[:-2], m.shape[:-2])
    a = self.expand(batch + self.shape[-2:])
    y = m.expand(batch + m.shape[-2:])
    name = "gelsy"
    if driver is not None:
        name = driver
    rows = self.size(-2)
    columns = self.size(-1)
    small = 2.220446049250313e-16 if self.dtype == torch.double else 1.1920928955078125e-07
    limit = small * float(max(rows, columns))
    if rcond is not None:
        limit = rcond
    x = torch.ops.kiln.lstsq(a, y, limit)
    none = torch.empty([0], dtype=self.dtype)
    rank = torch.empty([0], dtype=torch.long)
    values = none
    residuals = none
    if name != "gels":
        values = torch.linalg_svdvals(self)
        if values.size(-1) == 0:
            rank = torch.zeros(self.shape[:-2], dtype=torch.long)
        else:
            rank = (values > limit * values.narrow(-1, 0, 1)).sum([-1])
    if rows > columns and name != "gelsy":
        d = torch.matmul(a, x) - y
        if name == "gels":
            residuals = (d * d).sum([-2])
        elif bool((rank == columns).all()):
            residuals = (d * d).sum([-2])
    if name != "gelss" and name != "gelsd":
        values = none
    return x.squeeze(-1) if is_vector else x, residuals, rank, values


@op("aten::linalg_householder_product", "aten::orgqr")
def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of reflections 1 - tau v v.T, v being columns below the diagonal"""
    m = input.size(-2)
    n = input.size(-1)
    out = torch.eye(m, n, dtype=input.dtype).expand(input.shape)
    for j in range(tau.size(-1)):
        i = tau.size(-1) - 1 - j
        v = reflection(input, i)
        out = out - torch.matmul(v * tau.select(-1, i).unsqueeze(-1).unsqueeze(-1), torch.matmul(v.transpose(-2, -1), out))
    return out.clone()


def reflection(input: Tensor, i: int) -> Tensor:
    """The vector of reflection i as a column: zeros, a one, and what is below the diagonal."""
    m = input.size(-2)
    below = torch.arange(m).unsqueeze(-1)
    v = torch.where(below > i, input.select(-1, i).unsqueeze(-1), torch.zeros([1], dtype=input.dtype))
    return torch.where(below == i, torch.ones([1], dtype=input.dtype), v)


@op("aten::ormqr")
def ormqr(self: Tensor, input2: Tensor, input3: Tensor, left: bool = True, transpose: bool = False) -> Tensor:
    """Q input3 (or its transpose, or from the right) for the product Q of all reflections of self"""
    out = input3
    k = input2.size(-1)
    # Q = H_0 H_1 ...: the last one acts first from the left.
    forwards = left == transpose
    for j in range(k):
        i = j if forwards else k - 1 - j
        v = reflection(self, i)
        tau = input2.select(-1, i).unsqueeze(-1).unsqueeze(-1)
        if left:
            out = out - torch.matmul(v * tau, torch.matmul(v.transpose(-2, -1), out))
        else:
            out = out - torch.matmul(torch.matmul(out, v), (v * tau).transpose(-2, -1))
    return out.clone()


@op("aten::linalg_matrix_sqrth")
def matrix_sqrth(self: Tensor) -> Tensor:
    """The square root of a positive semidefinite matrix"""
    values, vectors = torch.linalg_eigh(self)
    return torch.matmul(vectors * torch.sqrt(torch.clamp(values, min=0)).unsqueeze(-2), vectors.transpose(-2, -1))


@op("aten::linalg_polar")
def linalg_polar(A: Tensor) -> Tuple[Tensor, Tensor]:
    """U with orthogonal columns and a positive semidefinite H with A = U H"""
    u, s, vh = torch.linalg_svd(A, False)
    return torch.matmul(u, vh), torch.matmul(vh.transpose(-2, -1) * s.unsqueeze(-2), vh)


@op("aten::geqrf")
def geqrf(self: Tensor) -> Tuple[Tensor, Tensor]:
    """R above the diagonal, the vectors of reflections below it, and their factors tau"""
    m = self.size(-2)
    n = self.size(-1)
    k = min(m, n)
    a = self.clone()
    taus = torch.zeros(self.shape[:-2] + [k], dtype=self.dtype)
    rows = torch.arange(m)
    columns = torch.arange(n)
    for j in range(k):
        column = a.select(-1, j)
        below = torch.where(rows > j, column, torch.zeros_like(column))
        rest = (below * below).sum([-1])
        alpha = column.select(-1, j)
        length = torch.sqrt(alpha * alpha + rest)
        beta = torch.where(alpha >= 0, -length, length)
        # Nothing is below: no reflection.
        plain = rest == 0
        tau = torch.where(plain, torch.zeros_like(alpha), (beta - alpha) / beta)
        v = torch.where(rows == j, torch.ones_like(column), below / (alpha - beta).unsqueeze(-1))
        v = torch.where(plain.unsqueeze(-1), torch.zeros_like(v), v)
        products = torch.matmul(v.unsqueeze(-2), a)
        reflected = a - (tau.unsqueeze(-1) * v).unsqueeze(-1) * products
        a = torch.where(columns > j, reflected, a)
        end = torch.where(plain, alpha, beta)
        own = torch.where(rows > j, v, torch.where(rows == j, end.unsqueeze(-1), column))
        a = torch.where(columns == j, own.unsqueeze(-1), a)
        taus = torch.where(torch.arange(k) == j, tau.unsqueeze(-1), taus)
    return a, taus
