"""Quantized layers: integer products with the scaling, bias and rounding of FBGEMM.

The products of integers without their zero points are summed exactly, in int32. The sum is then scaled once, in
binary32: `round((sum + bias / (x_scale * w_scale)) * (x_scale * w_scale / y_scale)) + zero_point`.
"""


def lowest(dtype: int) -> int:
    """The least integer of a quantized type."""
    return 0 if dtype == torch.quint8 else -128


def weight_scales(weight: Tensor) -> Tensor:
    """The scale of the weights: one, or one for each output channel."""
    if torch.ops.kiln.is_per_channel(weight):
        return torch.q_per_channel_scales(weight).to(torch.float)
    return torch.full([1], torch.q_scale(weight), dtype=torch.float)


def centred(weight: Tensor) -> Tensor:
    """The integers of weights without their zero points, in int8 where these are 0."""
    if torch.ops.kiln.is_per_channel(weight):
        zeros = torch.q_per_channel_zero_points(weight)
        if bool((zeros == 0).all()):
            return torch.int_repr(weight)
        shape = [1] * weight.dim()
        axis = torch.q_per_channel_axis(weight)
        shape[axis] = weight.size(axis)
        return torch.int_repr(weight).to(torch.int) - zeros.to(torch.int).reshape(shape)
    if torch.q_zero_point(weight) == 0:
        return torch.int_repr(weight)
    return torch.int_repr(weight).to(torch.int) - torch.q_zero_point(weight)


def requantized(sums: Tensor, x: Tensor, weight: Tensor, bias: Optional[Tensor], scale: float, zero_point: int, relu: bool, axes: int, is_depthwise: bool) -> Tensor:
    """Sums of products as a quantized tensor; `axes` follow that of the output channels."""
    s = torch.ops.kiln.single
    scales = weight_scales(weight) * s(torch.q_scale(x))
    shape = [-1] + [1] * axes
    y = sums.to(torch.float)
    if bias is not None:
        if torch.ops.kiln.is_per_channel(weight):
            y = y + (bias / scales).reshape(shape)
        elif is_depthwise:
            y = y + (bias * (1.0 / scales)).reshape(shape)
        else:
            y = torch.ops.kiln.fma(bias.reshape(shape), (1.0 / scales).reshape([1] + [1] * axes), y)
    y = y * (scales / s(scale)).reshape(shape)
    low = max(zero_point, lowest(x.dtype)) if relu else lowest(x.dtype)
    high = 255 if x.dtype == torch.quint8 else 127
    whole = torch.round(y) if zero_point == 0 else torch.round(y) + zero_point
    ints = torch.clamp(whole, low, high).to(torch.uint8 if x.dtype == torch.quint8 else torch.int8)
    return torch._make_per_tensor_quantized_tensor(ints, scale, zero_point)


def convolved(x: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: List[int], output_padding: List[int], dilation: List[int], groups: int, transposed: bool, scale: float, zero_point: int, relu: bool) -> Tensor:
    """A convolution along as many axes as the weights have."""
    axes = weight.dim() - 2
    sums = torch.ops.kiln.conv_int8(torch.int_repr(x), centred(weight), torch.q_zero_point(x), stride, padding, dilation, transposed, output_padding, groups)
    is_depthwise = groups > 1 and groups == x.size(1) and weight.size(0) == groups
    return requantized(sums, x, weight, bias, scale, zero_point, relu, axes, is_depthwise)


def convolution(x: Tensor, packed: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, scale: float, zero_point: int, relu: bool) -> Tensor:
    """A convolution of images."""
    weight, bias = torch.ops.quantized.conv2d_unpack(packed)
    stride = torch.ops.quantized.conv2d_stride(packed)
    padding = torch.ops.quantized.conv2d_padding(packed)
    output_padding = torch.ops.quantized.conv2d_output_padding(packed)
    dilation = torch.ops.quantized.conv2d_dilation(packed)
    transposed = bool(torch.ops.quantized.conv2d_transpose(packed))
    return convolved(x, weight, bias, stride, padding, output_padding, dilation, torch.ops.quantized.conv2d_groups(packed), transposed, scale, zero_point, relu)


@op("quantized::conv2d.new", "quantized::conv_transpose2d")
def conv2d(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of images, transposed where the packed weights are"""
    return convolution(qx, packed_weight, output_scale, output_zero_point, False)


@op("quantized::conv2d_relu.new")
def conv2d_relu(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of images, at least 0"""
    return convolution(qx, packed_weight, output_scale, output_zero_point, True)


def convolution1d(x: Tensor, packed: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, scale: float, zero_point: int, relu: bool) -> Tensor:
    """A convolution of sequences: PyTorch packs it as one of images of height 1."""
    weight, bias = torch.ops.quantized.conv2d_unpack(packed)
    stride = torch.ops.quantized.conv2d_stride(packed)
    padding = torch.ops.quantized.conv2d_padding(packed)
    dilation = torch.ops.quantized.conv2d_dilation(packed)
    groups = torch.ops.quantized.conv2d_groups(packed)
    images = x.unsqueeze(2)
    filters = weight if weight.dim() == 4 else weight.unsqueeze(2)
    y = convolved(images, filters, bias, [1, stride[-1]], [0, padding[-1]], [0, 0], [1, dilation[-1]], groups, False, scale, zero_point, relu)
    return y.squeeze(2)


@op("quantized::conv1d")
def conv1d(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of sequences"""
    return convolution1d(qx, packed_weight, output_scale, output_zero_point, False)


@op("quantized::conv1d_relu")
def conv1d_relu(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv2dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of sequences, at least 0"""
    return convolution1d(qx, packed_weight, output_scale, output_zero_point, True)


def convolution3d(x: Tensor, packed: __torch__.torch.classes.quantized.Conv3dPackedParamsBase, scale: float, zero_point: int, relu: bool) -> Tensor:
    """A convolution of volumes."""
    weight, bias = torch.ops.quantized.conv3d_unpack(packed)
    stride = torch.ops.quantized.conv3d_stride(packed)
    padding = torch.ops.quantized.conv3d_padding(packed)
    output_padding = torch.ops.quantized.conv3d_output_padding(packed)
    dilation = torch.ops.quantized.conv3d_dilation(packed)
    transposed = bool(torch.ops.quantized.conv3d_transpose(packed))
    return convolved(x, weight, bias, stride, padding, output_padding, dilation, torch.ops.quantized.conv3d_groups(packed), transposed, scale, zero_point, relu)


@op("quantized::conv3d.new", "quantized::conv_transpose3d")
def conv3d(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv3dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of volumes, transposed where the packed weights are"""
    return convolution3d(qx, packed_weight, output_scale, output_zero_point, False)


@op("quantized::conv3d_relu.new")
def conv3d_relu(qx: Tensor, packed_weight: __torch__.torch.classes.quantized.Conv3dPackedParamsBase, output_scale: float, output_zero_point: int) -> Tensor:
    """Convolution of volumes, at least 0"""
    return convolution3d(qx, packed_weight, output_scale, output_zero_point, True)


def products(ints: Tensor, zero_point: int, weight: Tensor) -> Tensor:
    """Sums of products of rows with weights, over the last axis."""
    rows = ints.reshape([-1, ints.size(-1)])
    sums = torch.ops.kiln.mm_int8(rows, centred(weight).t(), zero_point)
    return sums.reshape(ints.shape[:-1] + [weight.size(0)])


@op("quantized::linear")
def linear(X: Tensor, W_prepack: __torch__.torch.classes.quantized.LinearPackedParamsBase, Y_scale_i: float, Y_zero_point_i: int) -> Tensor:
    """x @ weight.T + bias"""
    weight, bias = torch.ops.quantized.linear_unpack(W_prepack)
    return requantized(products(torch.int_repr(X), torch.q_zero_point(X), weight), X, weight, bias, Y_scale_i, Y_zero_point_i, False, 0, False)


@op("quantized::linear_relu")
def linear_relu(X: Tensor, W_prepack: __torch__.torch.classes.quantized.LinearPackedParamsBase, Y_scale_i: float, Y_zero_point_i: int) -> Tensor:
    """x @ weight.T + bias, at least 0"""
    weight, bias = torch.ops.quantized.linear_unpack(W_prepack)
    return requantized(products(torch.int_repr(X), torch.q_zero_point(X), weight), X, weight, bias, Y_scale_i, Y_zero_point_i, True, 0, False)


def means(sums: Tensor, count: int, q: Tensor) -> Tensor:
    """Sums of integers without their zero points as means, with the scale of `q`."""
    ints = torch.clamp(torch.round(sums * torch.ops.kiln.single(1.0 / float(count))) + torch.q_zero_point(q), lowest(q.dtype), 255 if q.dtype == torch.quint8 else 127)
    return torch._make_per_tensor_quantized_tensor(ints.to(torch.uint8 if q.dtype == torch.quint8 else torch.int8), torch.q_scale(q), torch.q_zero_point(q))


@op("kiln::quantized_adaptive_avg_pool2d")
def adaptive_avg_pool2d(self: Tensor, output_size: List[int]) -> Tensor:
    """Means over windows that share the image among the given number of outputs"""
    height, width = self.size(-2), self.size(-1)
    out_h, out_w = output_size[0], output_size[1]
    if height % out_h != 0 or width % out_w != 0:
        raise NotImplementedError("kiln: adaptive_avg_pool2d of a quantized tensor to windows of several sizes")
    centred_ints = torch.int_repr(self).to(torch.float) - torch.q_zero_point(self)
    if out_h == 1 and out_w == 1:
        return means(centred_ints.sum([-2, -1], True), height * width, self)
    kernel = [height // out_h, width // out_w]
    mean = torch.avg_pool2d(centred_ints, kernel, kernel, [0, 0], False, True, 1)
    return means(mean, kernel[0] * kernel[1], self)


@op("kiln::quantized_avg_pool2d")
def avg_pool2d(self: Tensor, kernel_size: List[int], stride: List[int], padding: List[int], ceil_mode: bool, count_include_pad: bool, divisor_override: Optional[int]) -> Tensor:
    """Means over windows"""
    centred_ints = torch.int_repr(self).to(torch.float) - torch.q_zero_point(self)
    sums = torch.avg_pool2d(centred_ints, kernel_size, stride, padding, ceil_mode, True, 1)
    # The elements that each mean is over, of which the reciprocal is rounded before it is multiplied with.
    ones = torch.ones([1, 1, self.size(-2), self.size(-1)])
    means = torch.avg_pool2d(ones, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    counts = torch.avg_pool2d(ones, kernel_size, stride, padding, ceil_mode, True, 1) / means
    ints = torch.clamp(torch.round(sums * (1.0 / torch.round(counts))) + torch.q_zero_point(self), lowest(self.dtype), 255 if self.dtype == torch.quint8 else 127)
    return torch._make_per_tensor_quantized_tensor(ints.to(torch.uint8 if self.dtype == torch.quint8 else torch.int8), torch.q_scale(self), torch.q_zero_point(self))


@op("kiln::quantized_upsample_bilinear2d")
def upsample_bilinear2d(self: Tensor, output_size: Optional[List[int]], align_corners: bool, scale_factors: Optional[List[float]]) -> Tensor:
    """Resized images, with the same scale"""
    centred_ints = torch.int_repr(self).to(torch.float) - torch.q_zero_point(self)
    y = torch.upsample_bilinear2d(centred_ints, output_size, align_corners, scale_factors)
    ints = torch.clamp(torch.round(y) + torch.q_zero_point(self), lowest(self.dtype), 255 if self.dtype == torch.quint8 else 127)
    return torch._make_per_tensor_quantized_tensor(ints.to(torch.uint8 if self.dtype == torch.quint8 else torch.int8), torch.q_scale(self), torch.q_zero_point(self))


def activation_range(x: Tensor, reduce_range: bool) -> Tuple[float, int]:
    """Scale and zero point for the numbers of a tensor: its range, widened to hold 0, in 255 (or 127) steps."""
    s = torch.ops.kiln.single
    steps = 127.0 if reduce_range else 255.0
    low = min(float(x.min()), 0.0)
    high = max(float(x.max()), 0.0)
    scale = (high - low) / steps
    least = s(6.1e-5)
    if s(scale) == 0.0:
        scale = 0.1
    if scale < least:
        if low == 0.0:
            high = least * steps
        elif high == 0.0:
            low = -least * steps
        else:
            low = low * s(least / s(scale))
        scale = least
    zero_point = min(max(torch.ops.kiln.rint(-low / scale), 0.0), steps)
    return scale, int(zero_point)


def dynamic(x: Tensor, packed: __torch__.torch.classes.quantized.LinearPackedParamsBase, reduce_range: bool) -> Tensor:
    """x @ weight.T + bias with x quantized by its own range."""
    s = torch.ops.kiln.single
    weight, bias = torch.ops.quantized.linear_unpack(packed)
    scale, zero_point = activation_range(x, reduce_range)
    ints = torch.clamp(torch.round(x * s(1.0 / s(scale))) + zero_point, 0, 255).to(torch.uint8)
    # The zero point is known only now: it is taken from the sums, times the sums of the weights.
    sums = torch.ops.kiln.stored(products(ints, 0, weight)) - centred(weight).to(torch.int).sum([1]).to(torch.int) * zero_point
    scales = weight_scales(weight) * s(scale)
    if bias is not None:
        return torch.ops.kiln.fma(sums.to(torch.float), scales, bias)
    return sums.to(torch.float) * scales


@op("quantized::linear_dynamic")
def linear_dynamic(X: Tensor, W_prepack: __torch__.torch.classes.quantized.LinearPackedParamsBase, reduce_range: bool = False) -> Tensor:
    """x @ weight.T + bias with x quantized by its own range"""
    return dynamic(X, W_prepack, reduce_range)


@op("quantized::linear_relu_dynamic")
def linear_relu_dynamic(X: Tensor, W_prepack: __torch__.torch.classes.quantized.LinearPackedParamsBase, reduce_range: bool = False) -> Tensor:
    """x @ weight.T + bias with x quantized by its own range, at least 0"""
    return torch.relu(dynamic(X, W_prepack, reduce_range))


def lstm_direction(x: Tensor, cell: __torch__.torch.classes.rnn.CellParamsBase, h: Tensor, c: Tensor, reverse: bool) -> Tuple[Tensor, Tensor, Tensor]:
    """One direction of one layer over [time, batch, features]: (outputs, last hidden state, last cell state)."""
    reduce = torch.ops.kiln.cell_reduces_range(cell)
    inputs = dynamic(x, torch.ops.kiln.cell_input(cell), reduce)
    out = torch.zeros([x.size(0), x.size(1), h.size(1)])
    for i in range(x.size(0)):
        t = x.size(0) - 1 - i if reverse else i
        parts = (dynamic(h, torch.ops.kiln.cell_hidden(cell), reduce) + inputs[t]).chunk(4, 1)
        c = torch.sigmoid(parts[1]) * c + torch.sigmoid(parts[0]) * torch.tanh(parts[2])
        h = torch.sigmoid(parts[3]) * torch.tanh(c)
        out[t] = h
    return out, h, c


@op("aten::quantized_lstm.input")
def quantized_lstm(input: Tensor, hx: List[Tensor], params: List[__torch__.torch.classes.rnn.CellParamsBase], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool, batch_first: bool, dtype: Optional[int] = None, use_dynamic: bool = False) -> Tuple[Tensor, Tensor, Tensor]:
    """Layers of LSTMs with quantized weights: (outputs, last hidden states, last cell states)"""
    x = input.transpose(0, 1) if batch_first else input
    directions = 2 if bidirectional else 1
    hs: List[Tensor] = []
    cs: List[Tensor] = []
    for layer in range(num_layers):
        outs: List[Tensor] = []
        for d in range(directions):
            k = layer * directions + d
            out, h, c = lstm_direction(x, params[k], hx[0][k], hx[1][k], d == 1)
            outs.append(out)
            hs.append(h)
            cs.append(c)
        x = torch.cat(outs, 2) if bidirectional else outs[0]
    return x.transpose(0, 1) if batch_first else x, torch.stack(hs), torch.stack(cs)


def gru_direction(x: Tensor, cell: __torch__.torch.classes.rnn.CellParamsBase, h: Tensor, reverse: bool) -> Tuple[Tensor, Tensor]:
    """One direction of one layer over [time, batch, features]: (outputs, last hidden state)."""
    reduce = torch.ops.kiln.cell_reduces_range(cell)
    inputs = dynamic(x, torch.ops.kiln.cell_input(cell), reduce)
    out = torch.zeros([x.size(0), x.size(1), h.size(1)])
    for i in range(x.size(0)):
        t = x.size(0) - 1 - i if reverse else i
        own = inputs[t].chunk(3, 1)
        hidden = dynamic(h, torch.ops.kiln.cell_hidden(cell), reduce).chunk(3, 1)
        reset = torch.sigmoid(hidden[0] + own[0])
        update = torch.sigmoid(hidden[1] + own[1])
        new = torch.tanh(own[2] + hidden[2] * reset)
        h = (h - new) * update + new
        out[t] = h
    return out, h


@op("aten::quantized_gru.input")
def quantized_gru(input: Tensor, hx: Tensor, params: List[__torch__.torch.classes.rnn.CellParamsBase], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool, batch_first: bool) -> Tuple[Tensor, Tensor]:
    """Layers of GRUs with quantized weights: (outputs, last hidden states)"""
    x = input.transpose(0, 1) if batch_first else input
    directions = 2 if bidirectional else 1
    hs: List[Tensor] = []
    for layer in range(num_layers):
        outs: List[Tensor] = []
        for d in range(directions):
            k = layer * directions + d
            out, h = gru_direction(x, params[k], hx[k], d == 1)
            outs.append(out)
            hs.append(h)
        x = torch.cat(outs, 2) if bidirectional else outs[0]
    return x.transpose(0, 1) if batch_first else x, torch.stack(hs)


@op("quantized::quantized_lstm_cell_dynamic")
def lstm_cell(input: Tensor, hx: List[Tensor], w_ih: __torch__.torch.classes.quantized.LinearPackedParamsBase, w_hh: __torch__.torch.classes.quantized.LinearPackedParamsBase, bias_ih: Tensor, bias_hh: Tensor) -> Tuple[Tensor, Tensor]:
    """One step of an LSTM with quantized weights"""
    parts = (dynamic(hx[0], w_hh, False) + dynamic(input, w_ih, False)).chunk(4, 1)
    c = torch.sigmoid(parts[1]) * hx[1] + torch.sigmoid(parts[0]) * torch.tanh(parts[2])
    return torch.sigmoid(parts[3]) * torch.tanh(c), c


def embedding_rows(packed: __torch__.torch.classes.quantized.EmbeddingPackedParamsBase, indices: Tensor) -> Tensor:
    """Rows of a table of bytes as numbers, one for each of the indices in a row."""
    weight = torch.ops.quantized.embedding_bag_unpack(packed)
    scales = torch.q_per_channel_scales(weight).to(torch.float)
    biases = torch.q_per_channel_zero_points(weight).to(torch.float) * scales * -1.0
    rows = torch.index_select(torch.int_repr(weight), 0, indices).to(torch.float)
    return torch.ops.kiln.fma(rows, torch.index_select(scales, 0, indices).unsqueeze(-1), torch.index_select(biases, 0, indices).unsqueeze(-1))


@op("quantized::embedding_byte")
def embedding_byte(weight: __torch__.torch.classes.quantized.EmbeddingPackedParamsBase, indices: Tensor, pruned_weights: bool = False) -> Tensor:
    """rows of a table of bytes, each (q - zero_point) * scale of its own"""
    if pruned_weights:
        raise NotImplementedError("kiln: an embedding with pruned weights")
    return embedding_rows(weight, indices.reshape([-1])).reshape(indices.size() + [-1])


@op("quantized::embedding_bag_byte")
def embedding_bag_byte(weight: __torch__.torch.classes.quantized.EmbeddingPackedParamsBase, indices: Tensor, offsets: Optional[Tensor] = None, scale_grad_by_freq: bool = False, mode: int = 0, pruned_weights: bool = False, per_sample_weights: Optional[Tensor] = None, compressed_indices_mapping: Optional[Tensor] = None, include_last_offset: bool = False) -> Tensor:
    """sums of bags of rows of a table of bytes"""
    if pruned_weights or compressed_indices_mapping is not None:
        raise NotImplementedError("kiln: an embedding with pruned weights")
    rows = embedding_rows(weight, indices.reshape([-1]))
    if indices.dim() == 2:
        weighted = rows if per_sample_weights is None else rows * per_sample_weights.reshape([-1, 1])
        return weighted.reshape([indices.size(0), indices.size(1), -1]).sum([1])
    if offsets is None:
        raise RuntimeError("embedding_bag_byte: offsets are missing for indices in a row")
    places = torch.arange(indices.size(0))
    return torch.embedding_bag(rows, places, offsets, False, 0, False, per_sample_weights, include_last_offset, None)[0]
