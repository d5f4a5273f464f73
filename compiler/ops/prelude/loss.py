"""Losses. A reduction is 0 (none), 1 (mean) or 2 (sum)."""


def reduced(loss: Tensor, reduction: int) -> Tensor:
    """Applies a reduction."""
    if reduction == 1:
        return loss.mean()
    if reduction == 2:
        return loss.sum()
    return loss


@op("aten::mse_loss")
def mse_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Tensor:
    """(self - target)^2"""
    d = self - target
    return reduced(d * d, reduction)


@op("aten::l1_loss")
def l1_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Tensor:
    """|self - target|"""
    return reduced(torch.abs(self - target), reduction)


@op("aten::smooth_l1_loss")
def smooth_l1_loss(self: Tensor, target: Tensor, reduction: int = 1, beta: float = 1.0) -> Tensor:
    """0.5 d^2 / beta below beta, |d| - 0.5 beta from there on"""
    d = torch.abs(self - target)
    if beta == 0.0:
        return reduced(d, reduction)
    return reduced(torch.where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta), reduction)


@op("aten::huber_loss")
def huber_loss(self: Tensor, target: Tensor, reduction: int = 1, delta: float = 1.0) -> Tensor:
    """0.5 d^2 below delta, delta * (|d| - 0.5 delta) from there on"""
    d = torch.abs(self - target)
    return reduced(torch.where(d < delta, 0.5 * d * d, delta * (d - 0.5 * delta)), reduction)


@op("aten::soft_margin_loss")
def soft_margin_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Tensor:
    """log(1 + exp(-target * self))"""
    return reduced(torch.log1p(torch.exp(-target * self)), reduction)


@op("aten::binary_cross_entropy")
def binary_cross_entropy(self: Tensor, target: Tensor, weight: Optional[Tensor] = None, reduction: int = 1) -> Tensor:
    """-(target * log(self) + (1 - target) * log(1 - self)), logarithms from -100 on"""
    loss = (target - 1.0) * torch.clamp(torch.log1p(-self), min=-100.0) - target * torch.clamp(torch.log(self), min=-100.0)
    if weight is not None:
        loss = loss * weight
    return reduced(loss, reduction)


@op("aten::binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(self: Tensor, target: Tensor, weight: Optional[Tensor] = None, pos_weight: Optional[Tensor] = None, reduction: int = 1) -> Tensor:
    """binary_cross_entropy of sigmoid(self), without overflow"""
    log_weight = torch.log1p(torch.exp(-torch.abs(self))) + torch.clamp(-self, min=0.0)
    if pos_weight is not None:
        loss = (1.0 - target) * self + ((pos_weight - 1.0) * target + 1.0) * log_weight
    else:
        loss = (1.0 - target) * self + log_weight
    if weight is not None:
        loss = loss * weight
    return reduced(loss, reduction)


@op("aten::kl_div")
def kl_div(self: Tensor, target: Tensor, reduction: int = 1, *, log_target: bool = False) -> Tensor:
    """target * (log(target) - self), 0 where target is 0"""
    if log_target:
        return reduced(torch.exp(target) * (target - self), reduction)
    return reduced(torch.xlogy(target, target) - target * self, reduction)


@op("aten::poisson_nll_loss")
def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int) -> Tensor:
    """exp(input) - target * input, or input - target * log(input + eps)"""
    loss = torch.exp(input) - target * input if log_input else input - target * torch.log(input + eps)
    if full:
        stirling = target * torch.log(target) - target + 0.5 * torch.log(2.0 * math.pi * target)
        loss = loss + torch.where(target <= 1, torch.zeros_like(stirling), stirling)
    return reduced(loss, reduction)


@op("aten::hinge_embedding_loss")
def hinge_embedding_loss(self: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 1) -> Tensor:
    """self where target is 1, max(0, margin - self) where it is -1"""
    near = torch.where(target != 1, torch.clamp(margin - self, min=0.0), torch.zeros_like(self))
    far = torch.where(target != -1, self, torch.zeros_like(self))
    return reduced(near + far, reduction)


@op("aten::margin_ranking_loss")
def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1) -> Tensor:
    """max(0, -target * (input1 - input2) + margin)"""
    return reduced(torch.clamp(-target * (input1 - input2) + margin, min=0.0), reduction)


@op("aten::cosine_embedding_loss")
def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1"""
    axis = target.dim()
    product = (input1 * input2).sum([axis])
    square1 = (input1 * input1).sum([axis]) + 1e-12
    square2 = (input2 * input2).sum([axis]) + 1e-12
    cosine = product / torch.sqrt(square1 * square2)
    zeros = torch.zeros_like(cosine)
    near = torch.where(target == 1, 1.0 - cosine, zeros)
    far = torch.where(target == -1, torch.clamp(cosine - margin, min=0.0), zeros)
    return reduced(near + far, reduction)


@op("aten::triplet_margin_loss")
def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0, eps: float = 1e-06, swap: bool = False, reduction: int = 1) -> Tensor:
    """max(0, margin + distance to positive - distance to negative)"""
    near = torch.pairwise_distance(anchor, positive, p, eps)
    far = torch.pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = torch.minimum(far, torch.pairwise_distance(positive, negative, p, eps))
    return reduced(torch.clamp(margin + near - far, min=0.0), reduction)


@op("aten::pairwise_distance")
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-06, keepdim: bool = False) -> Tensor:
    """p-norm of x1 - x2 + eps along the last axis"""
    return torch.norm(x1 - x2 + eps, p, [-1], keepdim)


@op("aten::cosine_similarity")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-08) -> Tensor:
    """Product of both vectors, each divided by its length (at least eps)."""
    # The lengths are those of the broadcast vectors.
    shape = torch._infer_size(x1.shape, x2.shape)
    x = x1.expand(shape)
    y = x2.expand(shape)
    a = x / torch.clamp(torch.sqrt((x * x).sum([dim], True)), min=eps)
    b = y / torch.clamp(torch.sqrt((y * y).sum([dim], True)), min=eps)
    return (a * b).sum([dim])
