"""Linear algebra: torch.linalg and its predecessors over the runtime's algorithms."""


def batch_of(a: Tensor, b: Tensor) -> List[int]:
    """The common batch of matrices."""
    return torch._infer_size(a.shape[:-2], b.shape[:-2])


def in_batch(a: Tensor, batch: List[int]) -> Tensor:
    """Matrices repeated for a batch."""
    return a.expand(batch + a.shape[-2:])


def solved(a: Tensor, b: Tensor, left: bool) -> Tensor:
    """x of a x = b or x a = b; b may be a batch of vectors."""
    if a.dim() < 2 or a.size(-1) != a.size(-2):
        raise RuntimeError("linalg.solve: A must be batches of square matrices, but they are {} by {} matrices".format(a.size(-2) if a.dim() > 1 else 0, a.size(-1) if a.dim() > 0 else 0))
    is_vector = b.dim() == 1 or (a.dim() - 1 == b.dim() and b.shape == a.shape[:-1])
    m = b.unsqueeze(-1) if is_vector else b
    if is_vector and not left:
        raise RuntimeError("linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case linalg.solve is equivalent to B / A.squeeze(-1)")
    batch = batch_of(a, m)
    x = in_batch(a, batch)
    y = in_batch(m, batch)
    if left:
        out = torch.ops.kiln.solve(x, y)
    else:
        out = torch.ops.kiln.solve(x.transpose(-2, -1), y.transpose(-2, -1)).transpose(-2, -1)
    return out.squeeze(-1) if is_vector else out


@op("aten::linalg_solve")
def linalg_solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """x of A x = B"""
    return solved(A, B, left)


@op("aten::linalg_solve_ex")
def linalg_solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Tuple[Tensor, Tensor]:
    """x of A x = B, and 0 where A is not singular"""
    if not check_errors:
        info = torch.ops.kiln.lu_factor(A)[2]
        if bool((info != 0).any()):
            raise RuntimeError("kiln: linalg.solve_ex of a singular matrix is not compiled")
    return solved(A, B, left), torch.zeros(A.shape[:-2], dtype=torch.int)


@op("aten::linalg_inv", "aten::inverse")
def linalg_inv(A: Tensor) -> Tensor:
    """The inverse."""
    return torch.ops.kiln.inverse(A)


@op("aten::linalg_inv_ex")
def linalg_inv_ex(A: Tensor, *, check_errors: bool = False) -> Tuple[Tensor, Tensor]:
    """The inverse, and the number of a zero pivot."""
    if check_errors:
        return torch.ops.kiln.inverse(A), torch.zeros(A.shape[:-2], dtype=torch.int)
    return torch.ops.kiln.inverse_ex(A)


@op("aten::linalg_det", "aten::det")
def linalg_det(A: Tensor) -> Tensor:
    """The determinant."""
    return torch.ops.kiln.det(A)


@op("aten::linalg_slogdet", "aten::slogdet")
def linalg_slogdet(A: Tensor) -> Tuple[Tensor, Tensor]:
    """Sign of the determinant and logarithm of its magnitude."""
    return torch.ops.kiln.slogdet(A)


@op("aten::logdet")
def logdet(self: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN where that is negative."""
    sign, magnitude = torch.ops.kiln.slogdet(self)
    return torch.where(sign < 0, torch.full_like(magnitude, float("nan")), magnitude)


@op("aten::linalg_cholesky")
def linalg_cholesky(self: Tensor, *, upper: bool = False) -> Tensor:
    """The Cholesky factor."""
    return torch.ops.kiln.cholesky(self, upper)


@op("aten::linalg_cholesky_ex")
def linalg_cholesky_ex(self: Tensor, *, upper: bool = False, check_errors: bool = False) -> Tuple[Tensor, Tensor]:
    """The Cholesky factor, and the order of a bad minor."""
    if check_errors:
        return torch.ops.kiln.cholesky(self, upper), torch.zeros(self.shape[:-2], dtype=torch.int)
    return torch.ops.kiln.cholesky_ex(self, upper)


def triangle_solved(a: Tensor, b: Tensor, upper: bool, transpose: bool, unit: bool) -> Tensor:
    """x of a x = b for a triangle, for all batches."""
    if a.dim() < 2 or b.dim() < 2 or a.size(-1) != a.size(-2):
        raise RuntimeError("linalg.solve_triangular: A must be batches of square matrices")
    if a.size(-1) != b.size(-2):
        raise RuntimeError("linalg.solve_triangular: Incompatible shapes of A and B for the equation AX = B ({}x{} and {}x{})".format(a.size(-2), a.size(-1), b.size(-2), b.size(-1)))
    batch = batch_of(a, b)
    return torch.ops.kiln.triangular_solve(in_batch(a, batch), in_batch(b, batch), upper, transpose, unit)


@op("aten::linalg_solve_triangular")
def linalg_solve_triangular(self: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """x of A x = B (or x A = B) for a triangle"""
    if left:
        return triangle_solved(self, B, upper, False, unitriangular)
    return triangle_solved(self.transpose(-2, -1), B.transpose(-2, -1), not upper, False, unitriangular).transpose(-2, -1)


@op("aten::triangular_solve")
def triangular_solve(self: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False) -> Tuple[Tensor, Tensor]:
    """x of A x = self for a triangle, and A"""
    batch = batch_of(A, self)
    return triangle_solved(A, self, upper, transpose, unitriangular), in_batch(A, batch).clone()


@op("aten::cholesky_solve")
def cholesky_solve(self: Tensor, input2: Tensor, upper: bool = False) -> Tensor:
    """x of (L L.T) x = self for a Cholesky factor"""
    if upper:
        y = triangle_solved(input2, self, True, True, False)
        return triangle_solved(input2, y, True, False, False)
    y = triangle_solved(input2, self, False, False, False)
    return triangle_solved(input2, y, False, True, False)


@op("aten::cholesky_inverse")
def cholesky_inverse(self: Tensor, upper: bool = False) -> Tensor:
    """The inverse of L L.T for a Cholesky factor"""
    return torch.cholesky_solve(torch.eye(self.size(-1), dtype=self.dtype), self, upper).expand(self.shape)


@op("aten::linalg_lu_factor_ex")
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Tuple[Tensor, Tensor, Tensor]:
    """LU factors, exchanged rows, and the first zero pivot"""
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    lu, rows, info = torch.ops.kiln.lu_factor(A)
    if check_errors:
        if bool((info != 0).any()):
            raise RuntimeError("linalg.lu_factor: U has a zero on its diagonal; using it to solve a linear system will give a division by zero")
    return lu, rows, info


@op("aten::_lu_with_info")
def lu_with_info(self: Tensor, pivot: bool = True, check_errors: bool = True) -> Tuple[Tensor, Tensor, Tensor]:
    """LU factors, exchanged rows, and the first zero pivot"""
    return torch.linalg_lu_factor_ex(self, pivot=pivot, check_errors=False)


@op("aten::linalg_lu_factor")
def lu_factor(A: Tensor, *, pivot: bool = True) -> Tuple[Tensor, Tensor]:
    """LU factors and exchanged rows"""
    lu, rows, info = torch.linalg_lu_factor_ex(A, pivot=pivot, check_errors=True)
    return lu, rows


def permutation(rows: Tensor, m: int) -> Tensor:
    """The order of rows (as indices of rows of P.T) that successive exchanges give, for each of the batches."""
    order = torch.arange(m).expand(rows.shape[:-1] + [m]).clone()
    for i in range(rows.size(-1)):
        other = rows.select(-1, i).to(torch.long) - 1
        here = order.select(-1, i).clone().unsqueeze(-1)
        there = order.gather(-1, other.unsqueeze(-1))
        order = order.scatter(-1, other.unsqueeze(-1), here)
        order = order.scatter(-1, torch.full_like(there, i), there)
    return order


def unpacked(lu: Tensor, rows: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """(P, L, U) of LU factors."""
    m = lu.size(-2)
    n = lu.size(-1)
    k = min(m, n)
    lower = lu.narrow(-1, 0, k).tril(-1) + torch.eye(m, k, dtype=lu.dtype)
    upper = lu.narrow(-2, 0, k).triu(0)
    order = permutation(rows, m)
    # Column i of P has its one where row i of the factors comes from.
    p = (torch.arange(m).unsqueeze(-1) == order.unsqueeze(-2)).to(lu.dtype)
    return p, lower, upper


@op("aten::lu_unpack")
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Tuple[Tensor, Tensor, Tensor]:
    """P, L and U of LU factors"""
    p, lower, upper = unpacked(LU_data, LU_pivots)
    none = torch.empty([0], dtype=LU_data.dtype)
    if not unpack_data:
        return p, none, none
    return p if unpack_pivots else none, lower, upper


@op("aten::linalg_lu")
def linalg_lu(A: Tensor, *, pivot: bool = True) -> Tuple[Tensor, Tensor, Tensor]:
    """P, L and U with A = P L U"""
    if not pivot:
        raise RuntimeError("linalg.lu: LU without pivoting is not implemented on the CPU")
    lu, rows, info = torch.ops.kiln.lu_factor(A)
    return unpacked(lu, rows)


def lu_solved(lu: Tensor, rows: Tensor, b: Tensor) -> Tensor:
    """x of LU x = b for all batches."""
    batch = batch_of(lu, b)
    return torch.ops.kiln.lu_solve(in_batch(lu, batch), rows.expand(batch + [rows.size(-1)]), in_batch(b, batch))


@op("aten::linalg_lu_solve")
def linalg_lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """x of A x = B (or x A = B, or A.T x = B) for factors of A"""
    if left and not adjoint:
        return lu_solved(LU, pivots, B)
    if not left and adjoint:
        return lu_solved(LU, pivots, B.transpose(-2, -1)).transpose(-2, -1)
    # A.T = U.T L.T P.T
    b = B if left else B.transpose(-2, -1)
    y = triangle_solved(LU, b, True, True, False)
    z = triangle_solved(LU, y, False, True, True)
    order = permutation(pivots, LU.size(-1))
    p = (torch.arange(LU.size(-1)).unsqueeze(-1) == order.unsqueeze(-2)).to(LU.dtype)
    out = torch.matmul(p, z)
    return out if left else out.transpose(-2, -1)


@op("aten::lu_solve")
def lu_solve(self: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """x of A x = self for factors of A"""
    return lu_solved(LU_data, LU_pivots, self)


@op("aten::linalg_qr")
def linalg_qr(A: Tensor, mode: str = "reduced") -> Tuple[Tensor, Tensor]:
    """Q and R with A = Q R"""
    if mode != "reduced" and mode != "complete" and mode != "r":
        raise RuntimeError("qr received unrecognized mode '{}' but expected one of 'reduced' (default), 'r', or 'complete'".format(mode))
    q, r = torch.ops.kiln.qr(A, mode == "complete")
    return torch.empty([0], dtype=A.dtype) if mode == "r" else q, r


@op("aten::linalg_eigh")
def linalg_eigh(self: Tensor, UPLO: str = "L") -> Tuple[Tensor, Tensor]:
    """Eigenvalues in ascending order and eigenvectors of a symmetric matrix"""
    return torch.ops.kiln.eigh(self, UPLO == "U" or UPLO == "u")


@op("aten::linalg_eigvalsh")
def linalg_eigvalsh(self: Tensor, UPLO: str = "L") -> Tensor:
    """Eigenvalues of a symmetric matrix in ascending order"""
    return torch.ops.kiln.eigh(self, UPLO == "U" or UPLO == "u")[0]


@op("aten::linalg_svd")
def linalg_svd(A: Tensor, full_matrices: bool = True, *, driver: Optional[str] = None) -> Tuple[Tensor, Tensor, Tensor]:
    """U, S and V.T with A = U diag(S) V.T"""
    return torch.ops.kiln.svd(A, full_matrices)


@op("aten::svd")
def svd(self: Tensor, some: bool = True, compute_uv: bool = True) -> Tuple[Tensor, Tensor, Tensor]:
    """U, S and V with self = U diag(S) V.T"""
    u, s, vh = torch.ops.kiln.svd(self, not some)
    if compute_uv:
        return u, s, vh.transpose(-2, -1)
    batch = self.shape[:-2]
    return torch.zeros(batch + [self.size(-2), self.size(-2)], dtype=self.dtype), s, torch.zeros(batch + [self.size(-1), self.size(-1)], dtype=self.dtype)


@op("aten::linalg_svdvals")
def linalg_svdvals(A: Tensor, *, driver: Optional[str] = None) -> Tensor:
    """Singular values in descending order"""
    return torch.ops.kiln.svd(A, False)[1]


def small(dtype: int) -> float:
    """The distance from 1 to the next larger number of a type."""
    return 2.220446049250313e-16 if dtype == torch.double else 1.1920928955078125e-07


def magnitudes(a: Tensor, hermitian: bool) -> Tensor:
    """Singular values: for symmetric matrices, magnitudes of eigenvalues."""
    if hermitian:
        return torch.abs(torch.ops.kiln.eigh(a, False)[0])
    return torch.ops.kiln.svd(a, False)[1]


def inverted(a: Tensor, limit: Tensor, hermitian: bool) -> Tensor:
    """The pseudo-inverse; singular values up to a limit (for each matrix) count as 0."""
    if hermitian:
        values, vectors = torch.ops.kiln.eigh(a, False)
        factors = torch.where(torch.abs(values) > limit.unsqueeze(-1), torch.reciprocal(values), torch.zeros_like(values))
        return torch.matmul(vectors * factors.unsqueeze(-2), vectors.transpose(-2, -1))
    u, s, vh = torch.ops.kiln.svd(a, False)
    factors = torch.where(s > limit.unsqueeze(-1), torch.reciprocal(s), torch.zeros_like(s))
    return torch.matmul(vh.transpose(-2, -1) * factors.unsqueeze(-2), u.transpose(-2, -1))


def limit_of(a: Tensor, atol: Tensor, rtol: Tensor, hermitian: bool) -> Tensor:
    """The larger of an absolute and a relative tolerance, for each matrix."""
    return torch.maximum(atol, rtol * magnitudes(a, hermitian).amax([-1]))


def number_limit(a: Tensor, atol: Optional[float], rtol: Optional[float], hermitian: bool) -> Tensor:
    """limit_of with the tolerances' defaults: the relative one is 0 where only the absolute one is given."""
    absolute = 0.0
    if atol is not None:
        absolute = atol
    relative = small(a.dtype) * float(max(a.size(-2), a.size(-1)))
    if rtol is not None:
        relative = rtol
    elif absolute > 0.0:
        relative = 0.0
    return limit_of(a, torch.full([], absolute, dtype=a.dtype), torch.full([], relative, dtype=a.dtype), hermitian)


def tensor_limit(a: Tensor, atol: Optional[Tensor], rtol: Optional[Tensor], hermitian: bool) -> Tensor:
    """limit_of with the tolerances' defaults."""
    absolute = torch.zeros([], dtype=torch.double)
    if atol is not None:
        absolute = atol
    default = torch.full([], small(a.dtype) * float(max(a.size(-2), a.size(-1))), dtype=torch.double)
    if rtol is not None:
        return limit_of(a, absolute, rtol, hermitian)
    return limit_of(a, absolute, torch.where(absolute > 0.0, torch.zeros_like(default), default), hermitian)


def empty_inverse(a: Tensor) -> Tensor:
    """The pseudo-inverse of matrices without elements."""
    return torch.empty(a.shape[:-2] + [a.size(-1), a.size(-2)], dtype=a.dtype)


@op("aten::linalg_pinv.atol_rtol_float")
def pinv(self: Tensor, *, atol: Optional[float] = None, rtol: Optional[float] = None, hermitian: bool = False) -> Tensor:
    """The pseudo-inverse"""
    if self.numel() == 0:
        return empty_inverse(self)
    return inverted(self, number_limit(self, atol, rtol, hermitian), hermitian)


@op("aten::linalg_pinv.atol_rtol_tensor")
def pinv_tensor(self: Tensor, *, atol: Optional[Tensor] = None, rtol: Optional[Tensor] = None, hermitian: bool = False) -> Tensor:
    """The pseudo-inverse"""
    if self.numel() == 0:
        return empty_inverse(self)
    return inverted(self, tensor_limit(self, atol, rtol, hermitian), hermitian)


@op("aten::linalg_pinv")
def pinv_rcond(self: Tensor, rcond: float, hermitian: bool = False) -> Tensor:
    """The pseudo-inverse"""
    return torch.linalg_pinv(self, atol=0.0, rtol=rcond, hermitian=hermitian)


@op("aten::pinverse")
def pinverse(self: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudo-inverse"""
    return torch.linalg_pinv(self, atol=0.0, rtol=rcond, hermitian=False)


@op("aten::linalg_matrix_rank.atol_rtol_float")
def matrix_rank(self: Tensor, *, atol: Optional[float] = None, rtol: Optional[float] = None, hermitian: bool = False) -> Tensor:
    """How many singular values are larger than the tolerance"""
    if self.numel() == 0:
        return torch.zeros(self.shape[:-2], dtype=torch.long)
    return (magnitudes(self, hermitian) > number_limit(self, atol, rtol, hermitian).unsqueeze(-1)).sum([-1])


@op("aten::linalg_matrix_rank.atol_rtol_tensor")
def matrix_rank_tensor(input: Tensor, *, atol: Optional[Tensor] = None, rtol: Optional[Tensor] = None, hermitian: bool = False) -> Tensor:
    """How many singular values are larger than the tolerance"""
    if input.numel() == 0:
        return torch.zeros(input.shape[:-2], dtype=torch.long)
    return (magnitudes(input, hermitian) > tensor_limit(input, atol, rtol, hermitian).unsqueeze(-1)).sum([-1])


@op("aten::linalg_matrix_rank")
def matrix_rank_tol(self: Tensor, tol: float, hermitian: bool = False) -> Tensor:
    """How many singular values are larger than the tolerance"""
    return torch.linalg_matrix_rank(self, atol=tol, rtol=0.0, hermitian=hermitian)


@op("aten::linalg_cond")
def linalg_cond(self: Tensor, p: Optional[number] = None) -> Tensor:
    """The condition number: norm of the matrix times norm of the inverse"""
    order = 2.0
    if p is not None:
        order = float(p)
    if order == 2.0 or order == -2.0:
        s = torch.ops.kiln.svd(self, False)[1]
        first = s.select(-1, 0)
        last = s.select(-1, s.size(-1) - 1)
        return first / last if order == 2.0 else last / first
    inverse, info = torch.ops.kiln.inverse_ex(self)
    product = torch.linalg_matrix_norm(self, order) * torch.linalg_matrix_norm(inverse, order)
    return torch.where(info != 0, torch.full_like(product, float("inf")), product)


@op("aten::linalg_cond.p_str")
def linalg_cond_named(self: Tensor, p: str) -> Tensor:
    """The condition number by the Frobenius or the nuclear norm"""
    inverse, info = torch.ops.kiln.inverse_ex(self)
    if p == "nuc" and bool((info != 0).any()):
        raise RuntimeError("kiln: linalg.cond by the nuclear norm of a singular matrix is not compiled")
    product = torch.linalg_matrix_norm(self, p) * torch.linalg_matrix_norm(inverse, p)
    return torch.where(info != 0, torch.full_like(product, float("inf")), product)


@op("aten::linalg_matrix_power", "aten::matrix_power")
def matrix_power(self: Tensor, n: int) -> Tensor:
    """The matrix multiplied by itself n times, its inverse where n is negative"""
    if self.dim() < 2 or self.size(-1) != self.size(-2):
        raise RuntimeError("linalg.matrix_power: A must be batches of square matrices")
    square = torch.linalg_inv(self) if n < 0 else self
    left = -n if n < 0 else n
    out = torch.eye(self.size(-1), dtype=self.dtype).expand(self.shape)
    is_one = True
    while left > 0:
        if left % 2 == 1:
            out = square if is_one else torch.matmul(out, square)
            is_one = False
        left = left // 2
        if left > 0:
            square = torch.matmul(square, square)
    return out.clone()
