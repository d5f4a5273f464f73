"""The normalisations that also give the statistics they used."""


def widened(x: Tensor) -> Tensor:
    """16-bit floats in binary32."""
    return x.to(torch.float) if x.dtype == torch.half or x.dtype == torch.bfloat16 else x


def per_channel(values: Tensor, input: Tensor) -> Tensor:
    """One value for each channel (axis 1), to be broadcast."""
    shape = [1] * input.dim()
    shape[1] = input.size(1)
    return values.reshape(shape)


def scaled(x: Tensor, input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor]) -> Tensor:
    """x * weight + bias for each channel, in the type of the input."""
    out = x
    if weight is not None:
        out = out * per_channel(weight, input)
    if bias is not None:
        out = out + per_channel(bias, input)
    return out.to(input.dtype)


def channel_statistics(input: Tensor) -> Tuple[Tensor, Tensor, int]:
    """(mean, sum of squared deviations, number of elements) of each channel."""
    x = widened(input)
    axes: List[int] = [0]
    count = input.size(0)
    for i in range(input.dim() - 2):
        axes.append(i + 2)
        count = count * input.size(i + 2)
    mean = x.mean(axes)
    d = x - per_channel(mean, input)
    return mean, (d * d).sum(axes), count


def moved(running: Optional[Tensor], new: Tensor, momentum: float) -> None:
    """A running statistic, moved towards a new value."""
    if running is not None:
        running.copy_(running * (1.0 - momentum) + new * momentum)


def kept_type(input: Tensor, weight: Optional[Tensor], running_mean: Optional[Tensor]) -> int:
    """The type of statistics: that of the parameters."""
    if weight is not None:
        return weight.dtype
    if running_mean is not None:
        return running_mean.dtype
    return input.dtype


def batch_norm(input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], running_mean: Optional[Tensor], running_var: Optional[Tensor], training: bool, momentum: float, eps: float) -> Tuple[Tensor, Tensor, Tensor]:
    """(result, mean, 1 / sqrt(var + eps)); no statistics where the running ones are used."""
    x = widened(input)
    kept = kept_type(input, weight, running_mean)
    if training:
        mean, squares, count = channel_statistics(input)
        moved(running_mean, mean, momentum)
        moved(running_var, squares / (count - 1), momentum)
        inverse = torch.rsqrt(squares / count + eps)
        return scaled((x - per_channel(mean, input)) * per_channel(inverse, input), input, weight, bias), mean.to(kept), inverse.to(kept)
    if running_mean is None or running_var is None:
        raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
    inverse = torch.rsqrt(widened(running_var) + eps)
    none = torch.empty([0], dtype=kept)
    return scaled((x - per_channel(widened(running_mean), input)) * per_channel(inverse, input), input, weight, bias), none, none


@op("aten::native_batch_norm")
def native_batch_norm(input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], running_mean: Optional[Tensor], running_var: Optional[Tensor], training: bool, momentum: float, eps: float) -> Tuple[Tensor, Tensor, Tensor]:
    """batch_norm with the statistics used."""
    return batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


@op("aten::_native_batch_norm_legit")
def native_batch_norm_legit(input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], running_mean: Tensor, running_var: Tensor, training: bool, momentum: float, eps: float) -> Tuple[Tensor, Tensor, Tensor]:
    """batch_norm with the statistics used."""
    return batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


@op("aten::_native_batch_norm_legit.no_stats")
def native_batch_norm_no_stats(input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], training: bool, momentum: float, eps: float) -> Tuple[Tensor, Tensor, Tensor]:
    """batch_norm by the batch's own statistics."""
    if not training:
        raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
    return batch_norm(input, weight, bias, None, None, True, momentum, eps)


@op("aten::_native_batch_norm_legit_no_training")
def native_batch_norm_no_training(input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], running_mean: Tensor, running_var: Tensor, momentum: float, eps: float) -> Tuple[Tensor, Tensor, Tensor]:
    """batch_norm by running statistics."""
    return batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)


@op("aten::_batch_norm_with_update")
def batch_norm_with_update(input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], running_mean: Tensor, running_var: Tensor, momentum: float, eps: float) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """batch_norm by the batch's statistics, towards which the running ones move."""
    out, mean, inverse = batch_norm(input, weight, bias, running_mean, running_var, True, momentum, eps)
    return out, mean, inverse, torch.empty([0], dtype=torch.uint8)


@op("aten::_batch_norm_no_update")
def batch_norm_no_update(input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], running_mean: Optional[Tensor], running_var: Optional[Tensor], momentum: float, eps: float) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """batch_norm by running statistics."""
    out, mean, inverse = batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)
    return out, mean, inverse, torch.empty([0], dtype=torch.uint8)


@op("aten::native_layer_norm")
def native_layer_norm(input: Tensor, normalized_shape: List[int], weight: Optional[Tensor], bias: Optional[Tensor], eps: float) -> Tuple[Tensor, Tensor, Tensor]:
    """layer_norm with the mean and 1 / sqrt(var + eps)."""
    first = input.dim() - len(normalized_shape)
    if first < 0:
        raise RuntimeError("Given normalized_shape={}, expected input with shape [*, {}], but got input of size{}".format(normalized_shape, normalized_shape, input.shape))
    axes: List[int] = []
    for i in range(len(normalized_shape)):
        axes.append(first + i)
        if input.size(first + i) != normalized_shape[i]:
            raise RuntimeError("Given normalized_shape={}, expected input with shape [*, {}], but got input of size{}".format(normalized_shape, normalized_shape, input.shape))
    x = widened(input)
    mean = x.mean(axes, True)
    d = x - mean
    inverse = torch.rsqrt((d * d).mean(axes, True) + eps)
    out = d * inverse
    if weight is not None:
        out = out * weight
    if bias is not None:
        out = out + bias
    return out.to(input.dtype), mean.to(input.dtype), inverse.to(input.dtype)


@op("aten::native_group_norm")
def native_group_norm(input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], N: int, C: int, HxW: int, group: int, eps: float) -> Tuple[Tensor, Tensor, Tensor]:
    """group_norm with the mean and 1 / sqrt(var + eps) of each group."""
    if group <= 0 or C % group != 0:
        raise RuntimeError("Expected number of channels in input to be divisible by num_groups, but got input of shape {} and num_groups={}".format(input.shape, group))
    x = widened(input).reshape([N, group, C // group * HxW])
    mean = x.mean([2], True)
    d = x - mean
    inverse = torch.rsqrt((d * d).mean([2], True) + eps)
    out = scaled((d * inverse).reshape(input.shape), input, weight, bias)
    return out, mean.reshape([N, group]).to(input.dtype), inverse.reshape([N, group]).to(input.dtype)


@op("aten::_safe_softmax")
def safe_softmax(self: Tensor, dim: int, dtype: Optional[int] = None) -> Tensor:
    """softmax, with zeros where all elements are minus infinity"""
    out = torch.softmax(self, dim, dtype)
    masked = (self == -float("inf")).all(dim, True)
    return torch.where(masked, torch.zeros_like(out), out)


@op("aten::_softmax_backward_data")
def softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: int) -> Tensor:
    """output * (grad_output - sum of output * grad_output)"""
    product = grad_output * output
    return (product - output * product.sum([dim], True)).to(input_dtype)


@op("aten::_log_softmax_backward_data")
def log_softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: int) -> Tensor:
    """grad_output - exp(output) * sum of grad_output"""
    return (grad_output - torch.exp(output) * grad_output.sum([dim], True)).to(input_dtype)
