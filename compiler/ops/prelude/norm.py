"""Normalisations."""


@op("aten::batch_norm")
def batch_norm(input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], running_mean: Optional[Tensor], running_var: Optional[Tensor], training: bool, momentum: float, eps: float, cudnn_enabled: bool) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias, per channel (axis 1)."""
    if input.dim() < 2 and input.numel() == 0:
        return input.clone()
    shape = [1] * input.dim()
    shape[1] = input.size(1)
    half = input.dtype == torch.half or input.dtype == torch.bfloat16
    x = input.to(torch.float) if half else input
    if training or running_mean is None or running_var is None:
        axes: List[int] = [0]
        for i in range(input.dim() - 2):
            axes.append(i + 2)
        mean = x.mean(axes)
        variance = ((x - mean.reshape(shape)) * (x - mean.reshape(shape))).mean(axes)
        if training and running_mean is not None and running_var is not None:
            count = input.numel() // input.size(1)
            if count <= 1:
                raise ValueError("Expected more than 1 value per channel when training, got input size {}".format(input.shape))
            running_mean.copy_(running_mean * (1.0 - momentum) + mean * momentum)
            running_var.copy_(running_var * (1.0 - momentum) + variance * (momentum * count / (count - 1)))
    else:
        mean = running_mean.to(x.dtype)
        variance = running_var.to(x.dtype)
    # One scale and one shift: constants in inference, which fold into a convolution before.
    scale = 1.0 / torch.sqrt(variance + eps)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale
    if bias is not None:
        shift = shift + bias
    return (x * scale.reshape(shape) + shift.reshape(shape)).to(input.dtype)


@op("aten::layer_norm")
def layer_norm(input: Tensor, normalized_shape: List[int], weight: Optional[Tensor] = None, bias: Optional[Tensor] = None, eps: float = 1e-05, cudnn_enable: bool = True) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias over the last axes."""
    first = input.dim() - len(normalized_shape)
    axes: List[int] = []
    for i in range(len(normalized_shape)):
        axes.append(first + i)
        if input.size(first + i) != normalized_shape[i]:
            raise RuntimeError("Given normalized_shape={}, expected input with shape [*, {}], but got input of size{}".format(normalized_shape, normalized_shape, input.shape))
    wide = input.to(torch.float) if input.dtype == torch.half or input.dtype == torch.bfloat16 else input
    centred = wide - wide.mean(axes, True)
    out = centred * torch.rsqrt((centred * centred).mean(axes, True) + eps)
    if weight is not None:
        out = out * weight
    if bias is not None:
        out = out + bias
    return out.to(input.dtype)


@op("aten::group_norm")
def group_norm(input: Tensor, num_groups: int, weight: Optional[Tensor] = None, bias: Optional[Tensor] = None, eps: float = 1e-05, cudnn_enabled: bool = True) -> Tensor:
    """Normalisation over groups of channels."""
    if input.size(1) % num_groups != 0:
        raise RuntimeError("Expected number of channels in input to be divisible by num_groups, but got input of shape {} and num_groups={}".format(input.shape, num_groups))
    count = 1
    for i in range(input.dim() - 2):
        count = count * input.size(i + 2)
    grouped = input.reshape([input.size(0), num_groups, input.size(1) // num_groups * count])
    wide = grouped.to(torch.float) if input.dtype == torch.half or input.dtype == torch.bfloat16 else grouped
    centred = wide - wide.mean([2], True)
    out = (centred * torch.rsqrt((centred * centred).mean([2], True) + eps)).reshape(input.shape)
    return affine(out, weight, bias).to(input.dtype)


def affine(x: Tensor, weight: Optional[Tensor], bias: Optional[Tensor]) -> Tensor:
    """x * weight + bias per channel (axis 1)."""
    shape = [1] * x.dim()
    shape[1] = x.size(1)
    out = x
    if weight is not None:
        out = out * weight.reshape(shape)
    if bias is not None:
        out = out + bias.reshape(shape)
    return out


@op("aten::instance_norm")
def instance_norm(input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], running_mean: Optional[Tensor], running_var: Optional[Tensor], use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool) -> Tensor:
    """Normalisation of each channel of each sample."""
    if not use_input_stats:
        return torch.batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps, cudnn_enabled)
    axes: List[int] = []
    count = 1
    for i in range(input.dim() - 2):
        axes.append(i + 2)
        count = count * input.size(i + 2)
    half = input.dtype == torch.half or input.dtype == torch.bfloat16
    x = input.to(torch.float) if half else input
    mean = x.mean(axes, True)
    centred = x - mean
    variance = (centred * centred).mean(axes, True)
    if running_mean is not None and running_var is not None:
        channels = input.size(1)
        batch_mean = mean.reshape([input.size(0), channels]).mean([0])
        batch_var = variance.reshape([input.size(0), channels]).mean([0])
        running_mean.copy_(running_mean * (1.0 - momentum) + batch_mean * momentum)
        running_var.copy_(running_var * (1.0 - momentum) + batch_var * (momentum * count / (count - 1)))
    return affine(centred * torch.rsqrt(variance + eps), weight, bias).to(input.dtype)


@op("aten::rms_norm")
def rms_norm(input: Tensor, normalized_shape: List[int], weight: Optional[Tensor] = None, eps: Optional[float] = None) -> Tensor:
    """input / sqrt(mean(input^2) + eps) * weight over the last axes."""
    first = input.dim() - len(normalized_shape)
    axes: List[int] = []
    for i in range(len(normalized_shape)):
        axes.append(first + i)
    wide = input.to(torch.float) if input.dtype == torch.half or input.dtype == torch.bfloat16 else input
    small = 2.220446049250313e-16 if input.dtype == torch.double else 1.1920928955078125e-07
    if eps is not None:
        small = eps
    out = wide * torch.rsqrt((wide * wide).mean(axes, True) + small)
    if weight is not None:
        out = out * weight
    return out.to(input.dtype)


@op("aten::softmax.int")
def softmax(self: Tensor, dim: int, dtype: Optional[int] = None) -> Tensor:
    """exp(self - max) / sum of exp(self - max) along dim"""
    x = self if dtype is None else self.to(dtype)
    return torch._softmax(x, dim, False)


@op("aten::_softmax")
def softmax_core(self: Tensor, dim: int, half_to_float: bool) -> Tensor:
    """exp(self - max) / sum of exp(self - max) along dim"""
    if self.dim() == 0:
        return torch.ones_like(self)
    if self.numel() == 0:
        return torch.zeros_like(self)
    half = self.dtype == torch.half or self.dtype == torch.bfloat16
    x = self.to(torch.float) if half else self
    e = torch.exp(x - x.amax([dim], True))
    return (e / e.sum([dim], True)).to(self.dtype)


@op("aten::log_softmax.int")
def log_softmax(self: Tensor, dim: int, dtype: Optional[int] = None) -> Tensor:
    """self - max - log of the sum of exp(self - max) along dim"""
    x = self if dtype is None else self.to(dtype)
    return torch._log_softmax(x, dim, False)


@op("aten::_log_softmax")
def log_softmax_core(self: Tensor, dim: int, half_to_float: bool) -> Tensor:
    """self - max - log of the sum of exp(self - max) along dim"""
    if self.dim() == 0:
        return torch.zeros_like(self)
    if self.numel() == 0:
        return torch.zeros_like(self)
    half = self.dtype == torch.half or self.dtype == torch.bfloat16
    x = self.to(torch.float) if half else self
    shifted = x - x.amax([dim], True)
    return (shifted - torch.log(torch.exp(shifted).sum([dim], True))).to(self.dtype)
