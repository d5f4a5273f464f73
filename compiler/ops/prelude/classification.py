"""Losses of classes. A reduction is 0 (none), 1 (mean) or 2 (sum)."""


def reduced(loss: Tensor, reduction: int) -> Tensor:
    """Applies a reduction."""
    if reduction == 1:
        return loss.mean()
    if reduction == 2:
        return loss.sum()
    return loss


def picked(self: Tensor, target: Tensor, weight: Optional[Tensor], ignore_index: int) -> Tuple[Tensor, Tensor]:
    """(-self[target] * weight[target], weight[target]) with classes along axis 1 (or 0 of a vector); both 0 where the target is ignored."""
    axis = 0 if self.dim() == 1 else 1
    ignored = target == ignore_index
    safe = torch.where(ignored, torch.zeros_like(target), target)
    x = self.gather(axis, safe.unsqueeze(axis)).squeeze(axis)
    zeros = torch.zeros_like(x)
    if weight is None:
        w = torch.ones_like(x)
    else:
        if weight.dim() != 1 or weight.size(0) != self.size(axis):
            raise RuntimeError("weight tensor should be defined either for all {} classes or no classes but got weight tensor of shape: {}".format(self.size(axis), weight.shape))
        w = weight.index_select(0, safe.reshape([-1])).reshape(safe.shape)
    w = torch.where(ignored, zeros, w)
    return torch.where(ignored, zeros, -x * w), w


def check_target(self: Tensor, target: Tensor) -> None:
    """One target for each place, and a class number."""
    if self.dim() == 0:
        raise RuntimeError("Expected 1 or more dimensions (got 0)")
    if target.is_floating_point() or target.dtype == torch.bool:
        raise RuntimeError("expected scalar type Long but found {}".format(target.dtype))
    if self.dim() == 1:
        if target.dim() != 0 and not (target.dim() == 1 and target.size(0) == 1):
            raise RuntimeError("For 1D input, 1D target must have size 1, but got target size: {}".format(target.shape))
        return
    if self.dim() - 1 != target.dim() or self.size(0) != target.size(0):
        raise ValueError("Expected input batch_size ({}) to match target batch_size ({}).".format(self.size(0), target.size(0) if target.dim() > 0 else 0))
    for i in range(target.dim() - 1):
        if self.size(i + 2) != target.size(i + 1):
            raise RuntimeError("Expected target size {}, got {}".format([self.size(0)] + self.shape[2:], target.shape))


def nll(self: Tensor, target: Tensor, weight: Optional[Tensor], reduction: int, ignore_index: int) -> Tuple[Tensor, Tensor]:
    """(loss, total weight)"""
    check_target(self, target)
    classes = target.to(torch.long)
    if self.dim() == 1 and target.dim() == 1:
        classes = classes.squeeze(0)
    half = self.dtype == torch.half or self.dtype == torch.bfloat16
    loss, w = picked(self.to(torch.float) if half else self, classes, weight, ignore_index)
    if reduction == 0:
        if self.dim() == 1 and target.dim() == 1:
            loss = loss.unsqueeze(0)
        return loss.to(self.dtype), torch.zeros([], dtype=self.dtype)
    total = w.sum()
    if reduction == 1:
        return (loss.sum() / total).to(self.dtype), total.to(self.dtype)
    return loss.sum().to(self.dtype), total.to(self.dtype)


@op("aten::nll_loss_nd", "aten::nll_loss", "aten::nll_loss2d")
def nll_loss(self: Tensor, target: Tensor, weight: Optional[Tensor] = None, reduction: int = 1, ignore_index: int = -100) -> Tensor:
    """-self[target] * weight[target]; the mean is over the weights"""
    return nll(self, target, weight, reduction, ignore_index)[0]


@op("aten::nll_loss_forward", "aten::nll_loss2d_forward")
def nll_loss_forward(self: Tensor, target: Tensor, weight: Optional[Tensor], reduction: int, ignore_index: int) -> Tuple[Tensor, Tensor]:
    """nll_loss and the total weight"""
    return nll(self, target, weight, reduction, ignore_index)


def soft_target_loss(self: Tensor, target: Tensor, weight: Optional[Tensor], reduction: int, label_smoothing: float) -> Tensor:
    """cross_entropy_loss for probabilities."""
    axis = 0 if self.dim() == 1 else 1
    count = self.size(axis)
    wanted = target
    if label_smoothing > 0.0:
        wanted = target * (1.0 - label_smoothing) + label_smoothing / count
    x = torch.log_softmax(self, axis)
    if weight is not None:
        shape = [1] * self.dim()
        shape[axis] = count
        x = x * weight.view(shape)
    loss = -(x * wanted)
    if reduction == 0:
        return loss.sum([axis])
    if reduction == 2:
        return loss.sum()
    return loss.sum() / (self.numel() // count)


@op("aten::cross_entropy_loss")
def cross_entropy_loss(self: Tensor, target: Tensor, weight: Optional[Tensor] = None, reduction: int = 1, ignore_index: int = -100, label_smoothing: float = 0.0) -> Tensor:
    """nll_loss of log_softmax(self), for class numbers or probabilities"""
    if label_smoothing < 0.0 or label_smoothing > 1.0:
        raise RuntimeError("label_smoothing must be between 0.0 and 1.0. Got: {}".format(label_smoothing))
    if self.dim() == target.dim() and self.shape == target.shape and target.is_floating_point():
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return soft_target_loss(self, target, weight, reduction, label_smoothing)
    axis = 0 if self.dim() == 1 else 1
    x = torch.log_softmax(self, axis)
    loss = torch.nll_loss_nd(x, target, weight, reduction, ignore_index)
    if label_smoothing == 0.0:
        return loss
    ignored = target == ignore_index
    if weight is not None:
        shape = [1] * self.dim()
        shape[axis] = weight.size(0)
        smooth = -(x * weight.view(shape)).sum([axis])
    else:
        smooth = -x.sum([axis])
    smooth = torch.where(ignored, torch.zeros_like(smooth), smooth)
    if reduction == 1:
        if weight is not None:
            safe = torch.where(ignored, torch.zeros_like(target), target)
            w = weight.index_select(0, safe.reshape([-1])).reshape(target.shape)
            smooth = smooth.sum() / torch.where(ignored, torch.zeros_like(w), w).sum()
        else:
            smooth = smooth.sum() / torch.logical_not(ignored).sum()
    elif reduction == 2:
        smooth = smooth.sum()
    return (1.0 - label_smoothing) * loss + smooth * (label_smoothing / self.size(axis))


@op("aten::multi_margin_loss")
def multi_margin_loss(self: Tensor, target: Tensor, p: number = 1, margin: number = 1, weight: Optional[Tensor] = None, reduction: int = 1) -> Tensor:
    """mean over the other classes of max(0, margin - self[target] + self[c])^p"""
    if p != 1 and p != 2:
        raise RuntimeError("only p == 1 and p == 2 supported")
    x = self.reshape([1, -1]) if self.dim() < 2 else self
    rows = target.reshape([-1])
    n = x.size(1)
    z = torch.clamp(float(margin) - x.gather(1, rows.unsqueeze(1)) + x, min=0)
    if p == 2:
        z = z * z
    if weight is not None:
        z = z * weight.index_select(0, rows).unsqueeze(1)
    z = torch.where(torch.arange(n).unsqueeze(0) == rows.unsqueeze(1), torch.zeros_like(z), z)
    loss = z.sum([1]) / n
    if reduction == 0 and target.dim() == 0:
        loss = loss.squeeze(0)
    return reduced(loss, reduction)


@op("aten::multilabel_margin_loss")
def multilabel_margin_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Tensor:
    """mean over labels and other classes of max(0, 1 - self[label] + self[c]); labels end at the first -1"""
    x = self.reshape([1, -1]) if self.dim() < 2 else self
    t = target.reshape([1, -1]) if target.dim() < 2 else target
    n = x.size(1)
    # A label counts up to the first negative one.
    counts = torch.ops.kiln.cumulative((t < 0).to(torch.long), 1, 0) == 0
    safe = torch.where(counts, t, torch.zeros_like(t))
    is_label = torch.zeros_like(t).scatter_add(1, safe, counts.to(t.dtype)) != 0
    z = torch.clamp(1.0 - x.gather(1, safe).unsqueeze(2) + x.unsqueeze(1), min=0)
    used = torch.logical_and(counts.unsqueeze(2), torch.logical_not(is_label).unsqueeze(1))
    loss = torch.where(used, z, torch.zeros_like(z)).sum([1, 2]) / n
    if reduction == 0 and target.dim() < 2:
        loss = loss.squeeze(0)
    return reduced(loss, reduction)


def shifted(x: Tensor, by: int) -> Tensor:
    """Moved to the right along axis 1; minus infinity comes in."""
    border = torch.full([x.size(0), by], -float("inf"), dtype=x.dtype)
    return torch.cat([border, x.narrow(1, 0, x.size(1) - by)], 1)


@op("aten::ctc_loss.Tensor")
def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int = 0, reduction: int = 1, zero_infinity: bool = False) -> Tensor:
    """-log of the probability of all alignments of targets with blanks between"""
    batched = log_probs.dim() == 3
    x = log_probs if batched else log_probs.unsqueeze(1)
    steps = x.size(0)
    batch = x.size(1)
    ins = input_lengths.reshape([-1]).to(torch.long)
    outs = target_lengths.reshape([-1]).to(torch.long)
    if targets.dim() == 1 and batched:
        # All targets one after the other: as rows, filled up with blanks.
        longest = int(outs.max())
        starts = torch.ops.kiln.cumulative(outs, 0, 0) - outs
        at = starts.unsqueeze(1) + torch.arange(longest).unsqueeze(0)
        within = torch.arange(longest).unsqueeze(0) < outs.unsqueeze(1)
        labels = targets.to(torch.long).index_select(0, torch.where(within, at, torch.zeros_like(at)).reshape([-1])).reshape([batch, longest])
    else:
        labels = targets.to(torch.long) if batched else targets.to(torch.long).unsqueeze(0)
        longest = labels.size(1)
    # Labels with blanks around.
    blanks = torch.full_like(labels, blank)
    extended = torch.cat([torch.stack([blanks, labels], 2).reshape([batch, 2 * longest]), torch.full([batch, 1], blank, dtype=torch.long)], 1)
    size = 2 * longest + 1
    place = torch.arange(size).unsqueeze(0)
    valid = place < 2 * outs.unsqueeze(1) + 1
    extended = torch.where(valid, extended, torch.full_like(extended, blank))
    # A label may follow another one directly unless they are equal.
    before = torch.cat([torch.full([batch, 2], blank, dtype=torch.long), extended], 1).narrow(1, 0, size)
    jumps = torch.logical_and(torch.logical_and(extended != blank, extended != before), place >= 2)
    lowest = torch.full([batch, size], -float("inf"), dtype=x.dtype)
    alpha = torch.where(torch.logical_and(place < 2, valid), x[0].gather(1, extended), lowest)
    for t in range(1, steps):
        stay = torch.logaddexp(alpha, shifted(alpha, 1))
        skip = torch.cat([torch.full([batch, 2], -float("inf"), dtype=x.dtype), alpha], 1).narrow(1, 0, size)
        new = torch.logaddexp(stay, torch.where(jumps, skip, lowest)) + x[t].gather(1, extended)
        alpha = torch.where((t < ins).unsqueeze(1), torch.where(valid, new, lowest), alpha)
    last = alpha.gather(1, (2 * outs).unsqueeze(1)).squeeze(1)
    other = alpha.gather(1, torch.clamp(2 * outs - 1, min=0).unsqueeze(1)).squeeze(1)
    total = torch.where(outs > 0, torch.logaddexp(last, other), last)
    # Without any input only an empty target has an alignment.
    total = torch.where(ins > 0, total, torch.where(outs > 0, torch.full_like(total, -float("inf")), torch.zeros_like(total)))
    loss = -total
    if zero_infinity:
        loss = torch.where(torch.isinf(loss), torch.zeros_like(loss), loss)
    if reduction == 1:
        return (loss / torch.clamp(outs, min=1)).mean()
    if reduction == 2:
        return loss.sum()
    return loss if batched else loss.squeeze(0)


@op("aten::ctc_loss.IntList")
def ctc_loss_lists(log_probs: Tensor, targets: Tensor, input_lengths: List[int], target_lengths: List[int], blank: int = 0, reduction: int = 1, zero_infinity: bool = False) -> Tensor:
    """-log of the probability of all alignments of targets with blanks between"""
    return torch.ctc_loss(log_probs, targets, torch.tensor(input_lengths, dtype=torch.long), torch.tensor(target_lengths, dtype=torch.long), blank, reduction, zero_infinity)
