"""Packed sequences: the steps of all sequences of a batch one after the other, without what lies behind their ends.

`batch_sizes[t]` is how many sequences have a step t; sequences are in order of falling lengths.
"""


def is_step(batch_sizes: Tensor, batch: int) -> Tensor:
    """[time, batch]: whether a sequence has a step."""
    return torch.arange(batch).unsqueeze(0) < batch_sizes.unsqueeze(1)


def rows_of(mask: Tensor) -> Tensor:
    """Flat places of the steps, in order."""
    flat = mask.reshape([-1])
    count = int(flat.sum())
    return torch.ops.kiln.nonzero(flat, torch.tensor([mask.numel()], dtype=torch.long), count).select(1, 0)


def packed(x: Tensor, mask: Tensor) -> Tensor:
    """[time, batch, ...] as the rows of steps."""
    return x.reshape([x.size(0) * x.size(1)] + x.shape[2:]).index_select(0, rows_of(mask))


def padded(data: Tensor, mask: Tensor, value: float) -> Tensor:
    """The rows of steps as [time, batch, ...], filled up."""
    flat = mask.reshape([-1])
    place = torch.ops.kiln.cumulative(flat.to(torch.long), 0, 0) - 1
    safe = torch.where(flat, place, torch.zeros_like(place))
    rows = data.index_select(0, safe).reshape([mask.size(0), mask.size(1)] + data.shape[1:])
    shape = [mask.size(0), mask.size(1)] + [1] * (data.dim() - 1)
    return torch.where(mask.reshape(shape), rows, torch.full([1], value, dtype=data.dtype))


@op("aten::_pack_padded_sequence")
def pack_padded_sequence(input: Tensor, lengths: Tensor, batch_first: bool) -> Tuple[Tensor, Tensor]:
    """The steps of sequences of falling lengths, and how many sequences have each step"""
    x = input.transpose(0, 1) if batch_first else input
    if input.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    if lengths.dim() != 1 or lengths.size(0) != x.size(1):
        raise RuntimeError("Expected `len(lengths)` to be equal to batch_size, but got {} (batch_size={})".format(lengths.size(0), x.size(1)))
    own = lengths.to(torch.long)
    if bool((own <= 0).any()):
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")
    n = own.size(0)
    if bool((own.narrow(0, 1, n - 1) > own.narrow(0, 0, n - 1)).any()):
        raise RuntimeError("`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need ONNX exportability.")
    longest = int(own[0])
    if longest > x.size(0):
        raise RuntimeError("Expected lengths to be at most the number of steps")
    mask = torch.arange(longest).unsqueeze(1) < own.unsqueeze(0)
    return packed(torch.slice(x, 0, 0, longest, 1), mask), mask.sum([1])


@op("aten::_pad_packed_sequence")
def pad_packed_sequence(data: Tensor, batch_sizes: Tensor, batch_first: bool, padding_value: number, total_length: int) -> Tuple[Tensor, Tensor]:
    """The steps of sequences, filled up to one length, and their lengths"""
    steps = batch_sizes.size(0)
    batch = int(batch_sizes[0])
    mask = is_step(batch_sizes, batch)
    out = padded(data, mask, float(padding_value))
    if total_length > 0:
        if total_length < steps:
            raise RuntimeError("Expected total_length to be at least the length of the longest sequence in input, but got total_length={} and max sequence length being {}".format(total_length, steps))
        more = torch.full([total_length - steps, batch] + data.shape[1:], float(padding_value), dtype=data.dtype)
        out = torch.cat([out, more], 0)
    return out.transpose(0, 1) if batch_first else out, mask.sum([0])


def check_dropout(dropout: float, train: bool) -> None:
    """Dropout between layers is random."""
    if train and dropout > 0.0:
        raise NotImplementedError("kiln: dropout in training mode, which is random")


def optional(params: List[Tensor], at: int, there: bool) -> Optional[Tensor]:
    """A parameter that may be missing."""
    if there:
        return params[at]
    return None


@op("aten::lstm.data")
def lstm(data: Tensor, batch_sizes: Tensor, hx: List[Tensor], params: List[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool) -> Tuple[Tensor, Tensor, Tensor]:
    """Layers of LSTMs over packed sequences: (outputs, last hidden states, last cell states)"""
    check_dropout(dropout, train)
    batch = hx[0].size(1)
    mask = is_step(batch_sizes, batch)
    x = padded(data, mask, 0.0)
    steps = x.size(0)
    directions = 2 if bidirectional else 1
    projected = hx[0].size(2) != hx[1].size(2)
    count = (4 if has_biases else 2) + (1 if projected else 0)
    hs: List[Tensor] = []
    cs: List[Tensor] = []
    for layer in range(num_layers):
        outs: List[Tensor] = []
        for d in range(directions):
            k = layer * directions + d
            at = k * count
            b_ih = optional(params, at + 2, has_biases)
            b_hh = optional(params, at + 3, has_biases)
            w_hr = optional(params, at + count - 1, projected)
            h = hx[0][k]
            c = hx[1][k]
            out = torch.zeros([steps, batch, hx[0].size(2)], dtype=x.dtype)
            for i in range(steps):
                t = steps - 1 - i if d == 1 else i
                new_h, new_c = torch.lstm_cell(x[t], [h, c], params[at], params[at + 1], b_ih, b_hh)
                if w_hr is not None:
                    new_h = torch.matmul(new_h, w_hr.t())
                live = mask[t].unsqueeze(1)
                h = torch.where(live, new_h, h)
                c = torch.where(live, new_c, c)
                out[t] = new_h
            outs.append(out)
            hs.append(h)
            cs.append(c)
        x = torch.cat(outs, 2) if bidirectional else outs[0]
    return packed(x, mask), torch.stack(hs), torch.stack(cs)


def stepped(kind: int, x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Optional[Tensor], b_hh: Optional[Tensor]) -> Tensor:
    """One step: of a GRU (0), with tanh (1) or with relu (2)."""
    if kind == 0:
        return torch.gru_cell(x, h, w_ih, w_hh, b_ih, b_hh)
    if kind == 1:
        return torch.rnn_tanh_cell(x, h, w_ih, w_hh, b_ih, b_hh)
    return torch.rnn_relu_cell(x, h, w_ih, w_hh, b_ih, b_hh)


def recurrent(data: Tensor, batch_sizes: Tensor, hx: Tensor, params: List[Tensor], has_biases: bool, num_layers: int, bidirectional: bool, kind: int) -> Tuple[Tensor, Tensor]:
    """Layers over packed sequences: (outputs, last hidden states)."""
    batch = hx.size(1)
    mask = is_step(batch_sizes, batch)
    x = padded(data, mask, 0.0)
    steps = x.size(0)
    directions = 2 if bidirectional else 1
    count = 4 if has_biases else 2
    hs: List[Tensor] = []
    for layer in range(num_layers):
        outs: List[Tensor] = []
        for d in range(directions):
            k = layer * directions + d
            at = k * count
            b_ih = optional(params, at + 2, has_biases)
            b_hh = optional(params, at + 3, has_biases)
            h = hx[k]
            out = torch.zeros([steps, batch, hx.size(2)], dtype=x.dtype)
            for i in range(steps):
                t = steps - 1 - i if d == 1 else i
                new = stepped(kind, x[t], h, params[at], params[at + 1], b_ih, b_hh)
                h = torch.where(mask[t].unsqueeze(1), new, h)
                out[t] = new
            outs.append(out)
            hs.append(h)
        x = torch.cat(outs, 2) if bidirectional else outs[0]
    return packed(x, mask), torch.stack(hs)


@op("aten::gru.data")
def gru(data: Tensor, batch_sizes: Tensor, hx: Tensor, params: List[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool) -> Tuple[Tensor, Tensor]:
    """Layers of GRUs over packed sequences"""
    check_dropout(dropout, train)
    return recurrent(data, batch_sizes, hx, params, has_biases, num_layers, bidirectional, 0)


@op("aten::rnn_tanh.data")
def rnn_tanh(data: Tensor, batch_sizes: Tensor, hx: Tensor, params: List[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool) -> Tuple[Tensor, Tensor]:
    """Recurrent networks with tanh over packed sequences"""
    check_dropout(dropout, train)
    return recurrent(data, batch_sizes, hx, params, has_biases, num_layers, bidirectional, 1)


@op("aten::rnn_relu.data")
def rnn_relu(data: Tensor, batch_sizes: Tensor, hx: Tensor, params: List[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool) -> Tuple[Tensor, Tensor]:
    """Recurrent networks with relu over packed sequences"""
    check_dropout(dropout, train)
    return recurrent(data, batch_sizes, hx, params, has_biases, num_layers, bidirectional, 2)
