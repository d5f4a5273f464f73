"""Recurrent layers. Weights come as w_ih, w_hh, b_ih, b_hh (and w_hr with a projection) per layer and direction."""


def gates(x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
    """x @ weight.T + bias"""
    return torch.linear(x, weight, bias)


def lstm_step(mixed: Tensor, c: Tensor) -> Tuple[Tensor, Tensor]:
    """One step from the sum of both products: (new hidden state, new cell state)."""
    parts = mixed.chunk(4, 1)
    cell = torch.sigmoid(parts[1]) * c + torch.sigmoid(parts[0]) * torch.tanh(parts[2])
    return torch.sigmoid(parts[3]) * torch.tanh(cell), cell


def gru_step(from_input: Tensor, from_hidden: Tensor, h: Tensor) -> Tensor:
    """One step from both products: the new hidden state."""
    i = from_input.chunk(3, 1)
    g = from_hidden.chunk(3, 1)
    reset = torch.sigmoid(i[0] + g[0])
    update = torch.sigmoid(i[1] + g[1])
    new = torch.tanh(i[2] + reset * g[2])
    return new + update * (h - new)


@op("aten::lstm_cell")
def lstm_cell(input: Tensor, hx: List[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Optional[Tensor] = None, b_hh: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
    """One step of an LSTM."""
    return lstm_step(gates(input, w_ih, b_ih) + gates(hx[0], w_hh, b_hh), hx[1])


@op("aten::gru_cell")
def gru_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Optional[Tensor] = None, b_hh: Optional[Tensor] = None) -> Tensor:
    """One step of a GRU."""
    return gru_step(gates(input, w_ih, b_ih), gates(hx, w_hh, b_hh), hx)


@op("aten::rnn_tanh_cell")
def rnn_tanh_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Optional[Tensor] = None, b_hh: Optional[Tensor] = None) -> Tensor:
    """tanh of both products."""
    return torch.tanh(gates(input, w_ih, b_ih) + gates(hx, w_hh, b_hh))


@op("aten::rnn_relu_cell")
def rnn_relu_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Optional[Tensor] = None, b_hh: Optional[Tensor] = None) -> Tensor:
    """relu of both products."""
    return torch.relu(gates(input, w_ih, b_ih) + gates(hx, w_hh, b_hh))


def lstm_direction(x: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Optional[Tensor], b_hh: Optional[Tensor], w_hr: Optional[Tensor], backwards: bool) -> Tuple[Tensor, Tensor, Tensor]:
    """One direction of one layer over [time, batch, features]."""
    steps = x.size(0)
    # The products with the input need no loop.
    from_input = gates(x, w_ih, b_ih)
    out = torch.empty([steps, x.size(1), h.size(1)], dtype=x.dtype)
    for i in range(steps):
        t = steps - 1 - i if backwards else i
        h, c = lstm_step(from_input[t] + gates(h, w_hh, b_hh), c)
        if w_hr is not None:
            h = torch.linear(h, w_hr)
        out[t] = h
    return out, h, c


def gru_direction(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Optional[Tensor], b_hh: Optional[Tensor], backwards: bool) -> Tuple[Tensor, Tensor]:
    """One direction of one layer over [time, batch, features]."""
    steps = x.size(0)
    from_input = gates(x, w_ih, b_ih)
    out = torch.empty([steps, x.size(1), h.size(1)], dtype=x.dtype)
    for i in range(steps):
        t = steps - 1 - i if backwards else i
        h = gru_step(from_input[t], gates(h, w_hh, b_hh), h)
        out[t] = h
    return out, h


def rnn_direction(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Optional[Tensor], b_hh: Optional[Tensor], relu: bool, backwards: bool) -> Tuple[Tensor, Tensor]:
    """One direction of one layer over [time, batch, features]."""
    steps = x.size(0)
    from_input = gates(x, w_ih, b_ih)
    out = torch.empty([steps, x.size(1), h.size(1)], dtype=x.dtype)
    for i in range(steps):
        t = steps - 1 - i if backwards else i
        mixed = from_input[t] + gates(h, w_hh, b_hh)
        h = torch.relu(mixed) if relu else torch.tanh(mixed)
        out[t] = h
    return out, h


def check_dropout(dropout: float, train: bool) -> None:
    """Dropout between layers is random."""
    if train and dropout > 0.0:
        raise RuntimeError("kiln: dropout in training mode is random and is not compiled")


@op("aten::lstm.input")
def lstm(input: Tensor, hx: List[Tensor], params: List[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool, batch_first: bool) -> Tuple[Tensor, Tensor, Tensor]:
    """Layers of LSTMs: (outputs, last hidden states, last cell states)."""
    check_dropout(dropout, train)
    x = input.transpose(0, 1) if batch_first else input
    directions = 2 if bidirectional else 1
    has_projection = hx[0].size(2) != hx[1].size(2)
    count = (4 if has_biases else 2) + (1 if has_projection else 0)
    hs: List[Tensor] = []
    cs: List[Tensor] = []
    for layer in range(num_layers):
        outs: List[Tensor] = []
        for d in range(directions):
            k = layer * directions + d
            b_ih: Optional[Tensor] = None
            b_hh: Optional[Tensor] = None
            w_hr: Optional[Tensor] = None
            if has_biases:
                b_ih = params[k * count + 2]
                b_hh = params[k * count + 3]
            if has_projection:
                w_hr = params[k * count + count - 1]
            out, h, c = lstm_direction(x, hx[0][k], hx[1][k], params[k * count], params[k * count + 1], b_ih, b_hh, w_hr, d == 1)
            outs.append(out)
            hs.append(h)
            cs.append(c)
        x = torch.cat(outs, 2) if bidirectional else outs[0]
    return x.transpose(0, 1) if batch_first else x, torch.stack(hs), torch.stack(cs)


@op("aten::gru.input")
def gru(input: Tensor, hx: Tensor, params: List[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool, batch_first: bool) -> Tuple[Tensor, Tensor]:
    """Layers of GRUs: (outputs, last hidden states)."""
    check_dropout(dropout, train)
    x = input.transpose(0, 1) if batch_first else input
    directions = 2 if bidirectional else 1
    count = 4 if has_biases else 2
    hs: List[Tensor] = []
    for layer in range(num_layers):
        outs: List[Tensor] = []
        for d in range(directions):
            k = layer * directions + d
            b_ih: Optional[Tensor] = None
            b_hh: Optional[Tensor] = None
            if has_biases:
                b_ih = params[k * count + 2]
                b_hh = params[k * count + 3]
            out, h = gru_direction(x, hx[k], params[k * count], params[k * count + 1], b_ih, b_hh, d == 1)
            outs.append(out)
            hs.append(h)
        x = torch.cat(outs, 2) if bidirectional else outs[0]
    return x.transpose(0, 1) if batch_first else x, torch.stack(hs)


def rnn(input: Tensor, hx: Tensor, params: List[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool, batch_first: bool, relu: bool) -> Tuple[Tensor, Tensor]:
    """Layers of plain recurrent networks: (outputs, last hidden states)."""
    check_dropout(dropout, train)
    x = input.transpose(0, 1) if batch_first else input
    directions = 2 if bidirectional else 1
    count = 4 if has_biases else 2
    hs: List[Tensor] = []
    for layer in range(num_layers):
        outs: List[Tensor] = []
        for d in range(directions):
            k = layer * directions + d
            b_ih: Optional[Tensor] = None
            b_hh: Optional[Tensor] = None
            if has_biases:
                b_ih = params[k * count + 2]
                b_hh = params[k * count + 3]
            out, h = rnn_direction(x, hx[k], params[k * count], params[k * count + 1], b_ih, b_hh, relu, d == 1)
            outs.append(out)
            hs.append(h)
        x = torch.cat(outs, 2) if bidirectional else outs[0]
    return x.transpose(0, 1) if batch_first else x, torch.stack(hs)


@op("aten::rnn_tanh.input")
def rnn_tanh(input: Tensor, hx: Tensor, params: List[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool, batch_first: bool) -> Tuple[Tensor, Tensor]:
    """Recurrent network with tanh."""
    return rnn(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first, False)


@op("aten::rnn_relu.input")
def rnn_relu(input: Tensor, hx: Tensor, params: List[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool, batch_first: bool) -> Tuple[Tensor, Tensor]:
    """Recurrent network with relu."""
    return rnn(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first, True)
