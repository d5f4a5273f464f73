"""Matrix products and what is made of them."""


@op("aten::linear")
def linear(input: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """input @ weight.T + bias"""
    product = torch.matmul(input, weight.t() if weight.dim() == 2 else weight)
    if bias is not None:
        return product + bias
    return product


@op("aten::matmul")
def matmul(self: Tensor, other: Tensor) -> Tensor:
    """The product of vectors, matrices or batches of matrices, by their ranks."""
    if self.dim() == 0 or other.dim() == 0:
        raise RuntimeError("both arguments to matmul need to be at least 1D, but they are {}D and {}D".format(self.dim(), other.dim()))
    if self.dim() == 1 and other.dim() == 1:
        return torch.dot(self, other)
    if self.dim() == 1:
        return torch.matmul(self.unsqueeze(0), other).squeeze(-2)
    if other.dim() == 1:
        return torch.matmul(self, other.unsqueeze(1)).squeeze(-1)
    if self.dim() == 2 and other.dim() == 2:
        return torch.mm(self, other)
    if other.dim() == 2:
        rows = self.reshape([-1, self.size(-1)]) if self.numel() > 0 else self.reshape([0, self.size(-1)])
        if self.numel() == 0:
            count = 1
            for i in range(self.dim() - 1):
                count = count * self.size(i)
            rows = self.reshape([count, self.size(-1)])
        product = torch.mm(rows, other)
        return product.reshape(self.shape[:-1] + [other.size(-1)])
    batch = torch.broadcast_shapes(self.shape[:-2], other.shape[:-2])
    count = 1
    for n in batch:
        count = count * n
    a = self.expand(batch + [self.size(-2), self.size(-1)]).reshape([count, self.size(-2), self.size(-1)])
    b = other.expand(batch + [other.size(-2), other.size(-1)]).reshape([count, other.size(-2), other.size(-1)])
    return torch.bmm(a, b).reshape(batch + [self.size(-2), other.size(-1)])


@op("aten::broadcast_shapes", "aten::_infer_size")
def broadcast_shapes(a: List[int], b: List[int]) -> List[int]:
    """The common shape of two broadcast operands."""
    rank = max(len(a), len(b))
    out: List[int] = []
    for i in range(rank):
        x = a[len(a) - rank + i] if i >= rank - len(a) else 1
        y = b[len(b) - rank + i] if i >= rank - len(b) else 1
        if x != y and x != 1 and y != 1:
            raise RuntimeError("The size of tensor a ({}) must match the size of tensor b ({}) at non-singleton dimension {}".format(x, y, i))
        out.append(y if x == 1 else x)
    return out


@op("aten::dot", "aten::vdot", "aten::inner")
def dot(self: Tensor, tensor: Tensor) -> Tensor:
    """Sum of products; `inner` also takes batches along the last axis."""
    if self.dim() == 0 or tensor.dim() == 0:
        return self * tensor
    if self.dim() == 1 and tensor.dim() == 1:
        if self.size(0) != tensor.size(0):
            raise RuntimeError("inconsistent tensor size, expected tensor [{}] and src [{}] to have the same number of elements, but got {} and {} elements respectively".format(self.size(0), tensor.size(0), self.size(0), tensor.size(0)))
        return torch.mm(self.unsqueeze(0), tensor.unsqueeze(1)).reshape([])
    return torch.tensordot(self, tensor, [-1], [-1])


@op("aten::mv")
def mv(self: Tensor, vec: Tensor) -> Tensor:
    """self @ vec"""
    if self.dim() != 2 or vec.dim() != 1:
        raise RuntimeError("vector + matrix @ vector expected, got {}, {}, {}".format(1, self.dim(), vec.dim()))
    if self.size(1) != vec.size(0):
        raise RuntimeError("size mismatch, got input ({}), mat ({}x{}), vec ({})".format(self.size(0), self.size(0), self.size(1), vec.size(0)))
    return torch.mm(self, vec.unsqueeze(1)).squeeze(1)


@op("aten::addmm")
def addmm(self: Tensor, mat1: Tensor, mat2: Tensor, *, beta: number = 1, alpha: number = 1) -> Tensor:
    """beta * self + alpha * (mat1 @ mat2)"""
    return scaled_sum(self, torch.mm(mat1, mat2), beta, alpha)


@op("aten::addmv")
def addmv(self: Tensor, mat: Tensor, vec: Tensor, *, beta: number = 1, alpha: number = 1) -> Tensor:
    """beta * self + alpha * (mat @ vec)"""
    return scaled_sum(self, torch.mv(mat, vec), beta, alpha)


@op("aten::addr")
def addr(self: Tensor, vec1: Tensor, vec2: Tensor, *, beta: number = 1, alpha: number = 1) -> Tensor:
    """beta * self + alpha * outer(vec1, vec2)"""
    return scaled_sum(self, vec1.unsqueeze(1) * vec2.unsqueeze(0), beta, alpha)


@op("aten::baddbmm")
def baddbmm(self: Tensor, batch1: Tensor, batch2: Tensor, *, beta: number = 1, alpha: number = 1) -> Tensor:
    """beta * self + alpha * (batch1 @ batch2)"""
    return scaled_sum(self, torch.bmm(batch1, batch2), beta, alpha)


@op("aten::addbmm")
def addbmm(self: Tensor, batch1: Tensor, batch2: Tensor, *, beta: number = 1, alpha: number = 1) -> Tensor:
    """beta * self + alpha * sum over the batch of (batch1 @ batch2)"""
    return scaled_sum(self, torch.bmm(batch1, batch2).sum(0), beta, alpha)


def scaled_sum(self: Tensor, product: Tensor, beta: number, alpha: number) -> Tensor:
    """beta * self + alpha * product; with a beta of 0, NaNs in self do not count. Integers take integer factors."""
    dtype = torch.promote_types(self.dtype, product.dtype)
    if dtype == torch.bool:
        kept = product if alpha != 0 else torch.zeros_like(product)
        return torch.logical_or(self if beta != 0 else torch.zeros_like(self), kept)
    if not (self.is_floating_point() or product.is_floating_point()):
        return (self * int(beta) + product * int(alpha)).to(dtype)
    if not self.is_floating_point() and not product.is_floating_point():
        # As PyTorch does, the factors are rounded towards zero first.
        rounded = self * int(beta) + product * int(alpha)
        return rounded.to(torch.bool) if self.dtype == torch.bool and product.dtype == torch.bool else rounded
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:
        return scaled + torch.zeros_like(self)
    return (self if beta == 1 else self * beta) + scaled


@op("aten::outer", "aten::ger")
def outer(self: Tensor, vec2: Tensor) -> Tensor:
    """self[i] * vec2[j]"""
    return self.unsqueeze(1) * vec2.unsqueeze(0)


@op("aten::tensordot")
def tensordot(self: Tensor, other: Tensor, dims_self: List[int], dims_other: List[int]) -> Tensor:
    """Contraction over pairs of axes."""
    if len(dims_self) != len(dims_other):
        raise RuntimeError("both dimension lists should have same length")
    a_axes: List[int] = []
    b_axes: List[int] = []
    left = self
    right = other
    for i in range(len(dims_self)):
        a_axis = dims_self[i] if dims_self[i] >= 0 else dims_self[i] + self.dim()
        b_axis = dims_other[i] if dims_other[i] >= 0 else dims_other[i] + other.dim()
        a_axes.append(a_axis)
        b_axes.append(b_axis)
        # An axis of size 1 is broadcast: the other one is summed.
        if self.size(a_axis) == other.size(b_axis):
            pass
        elif self.size(a_axis) == 1:
            right = right.sum([b_axis], True, dtype=right.dtype)
        elif other.size(b_axis) == 1:
            left = left.sum([a_axis], True, dtype=left.dtype)
        else:
            raise RuntimeError("contracted dimensions need to match, but first has size {} in dim {} and second has size {} in dim {}".format(self.size(a_axis), a_axis, other.size(b_axis), b_axis))
    a_free: List[int] = []
    b_free: List[int] = []
    sizes: List[int] = []
    rows = 1
    columns = 1
    depth = 1
    for i in range(self.dim()):
        if i not in a_axes:
            a_free.append(i)
            sizes.append(self.size(i))
            rows = rows * self.size(i)
    for i in range(other.dim()):
        if i not in b_axes:
            b_free.append(i)
            sizes.append(other.size(i))
            columns = columns * other.size(i)
    for i in a_axes:
        depth = depth * left.size(i)
    a = left.permute(a_free + a_axes).reshape([rows, depth])
    b = right.permute(b_axes + b_free).reshape([depth, columns])
    return torch.mm(a, b).reshape(sizes)


@op("aten::chain_matmul", "aten::linalg_multi_dot")
def chain_matmul(matrices: List[Tensor]) -> Tensor:
    """The product of all, from left to right."""
    product = matrices[0]
    for i in range(len(matrices) - 1):
        product = torch.matmul(product, matrices[i + 1])
    return product


@op("aten::bilinear")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """out[..., o] = sum over i, j of input1[..., i] * weight[o, i, j] * input2[..., j] + bias[o]"""
    rows = 1
    for i in range(input1.dim() - 1):
        rows = rows * input1.size(i)
    a = input1.reshape([rows, 1, input1.size(-1)])
    b = input2.reshape([rows, 1, input2.size(-1)])
    mixed = torch.matmul(a.unsqueeze(1), weight.unsqueeze(0)).squeeze(2)
    out = (mixed * b).sum(-1).reshape(input1.shape[:-1] + [weight.size(0)])
    if bias is not None:
        return out + bias
    return out


@op("aten::scaled_dot_product_attention")
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Optional[Tensor] = None, dropout_p: float = 0.0, is_causal: bool = False, *, scale: Optional[float] = None, enable_gqa: bool = False) -> Tensor:
    """softmax(query @ key.T * scale + mask) @ value"""
    if query.dtype == torch.half or query.dtype == torch.bfloat16:
        # 16-bit floats are computed in binary32 and rounded at the end.
        mask = attn_mask
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(torch.float)
        return torch.scaled_dot_product_attention(query.to(torch.float), key.to(torch.float), value.to(torch.float), mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa).to(query.dtype)
    factor = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale
    dtype = query.dtype
    if dtype == torch.half or dtype == torch.bfloat16:
        # One rounding, at the end.
        query = query.to(torch.float)
        key = key.to(torch.float)
        value = value.to(torch.float)
    if enable_gqa:
        key = key.repeat_interleave(query.size(-3) // key.size(-3), -3)
        value = value.repeat_interleave(query.size(-3) // value.size(-3), -3)
    scores = torch.matmul(query, key.transpose(-2, -1)) * factor
    if is_causal:
        allowed = torch.ones([query.size(-2), key.size(-2)], dtype=torch.bool).tril(0)
        scores = scores.masked_fill(torch.logical_not(allowed), -float("inf"))
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(torch.logical_not(attn_mask), -float("inf"))
        else:
            scores = scores + attn_mask
    weights = torch.softmax(scores, -1)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        # A row without any allowed key gives zeros.
        empty = torch.logical_not(attn_mask.any(-1, True))
        weights = weights.masked_fill(empty, 0.0)
    return torch.matmul(torch.dropout(weights, dropout_p, dropout_p > 0.0), value).to(dtype)
