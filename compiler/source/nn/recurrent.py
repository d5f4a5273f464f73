"""torch.nn: recurrent modules and cells.

`forward` takes a tensor. `forward_packed` is what a call with a PackedSequence means. `_flat_weights` holds the parameters in the order the operators want: the same objects, so that weights loaded later show in it.
"""

import torch
from torch import Tensor
from typing import List, Optional, Tuple
from torch.nn.utils.rnn import PackedSequence


class RNNBase(Module):
    """The parameters and checks of recurrent modules."""

    _flat_weights: List[Tensor]

    def __init__(self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device=None, dtype=None):
        super().__init__()
        if not isinstance(dropout, (int, float)) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError("dropout should be a number in range [0, 1] representing the probability of an element being zeroed")
        if not isinstance(hidden_size, int):
            raise TypeError(f"hidden_size should be of type int, got: {type(hidden_size).__name__}")
        if hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        gates = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}[mode] * hidden_size
        output_size = proj_size if proj_size > 0 else hidden_size
        weights = []
        for layer in range(num_layers):
            for suffix in (["", "_reverse"] if bidirectional else [""]):
                size = input_size if layer == 0 else output_size * (2 if bidirectional else 1)
                shapes = [("weight_ih", (gates, size)), ("weight_hh", (gates, output_size))]
                if bias:
                    shapes = shapes + [("bias_ih", (gates,)), ("bias_hh", (gates,))]
                if proj_size > 0:
                    shapes = shapes + [("weight_hr", (proj_size, hidden_size))]
                for name, shape in shapes:
                    weight = Parameter(torch.empty(shape, dtype=dtype))
                    self.register_parameter(f"{name}_l{layer}{suffix}", weight)
                    weights.append(weight)
        self._flat_weights = weights

    def flatten_parameters(self) -> None:
        """Nothing is to be done: the order of parameters in memory does not matter."""

    def check_features(self, input: Tensor) -> None:
        """As many features as asked for."""
        if self.input_size != input.size(-1):
            raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}")

    def check_state(self, hx: Tensor, batch: int, size: int, name: str) -> None:
        """A state of each layer and direction and element of the batch."""
        layers = self.num_layers * (2 if self.bidirectional else 1)
        if hx.shape != [layers, batch, size]:
            raise RuntimeError(f"Expected {name} size {(layers, batch, size)}, got {hx.shape}")

    def zero_state(self, like: Tensor, batch: int, size: int) -> Tensor:
        """The state before the first element."""
        return torch.zeros([self.num_layers * (2 if self.bidirectional else 1), batch, size], dtype=like.dtype, device=like.device)


class _SimpleRNN(RNNBase):
    """Recurrent modules whose state is one tensor."""

    def run(self, input: Tensor, hx: Tensor) -> Tuple[Tensor, Tensor]:
        """The operator of the mode on a padded batch."""
        if self.mode == "GRU":
            return torch.gru(input, hx, self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first)
        if self.mode == "RNN_TANH":
            return torch.rnn_tanh(input, hx, self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first)
        return torch.rnn_relu(input, hx, self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first)

    def run_packed(self, data: Tensor, batch_sizes: Tensor, hx: Tensor) -> Tuple[Tensor, Tensor]:
        """The operator of the mode on packed sequences."""
        if self.mode == "GRU":
            return torch.gru(data, batch_sizes, hx, self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if self.mode == "RNN_TANH":
            return torch.rnn_tanh(data, batch_sizes, hx, self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        return torch.rnn_relu(data, batch_sizes, hx, self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)

    def forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
        if input.dim() != 2 and input.dim() != 3:
            if self.mode == "GRU":
                raise ValueError(f"GRU: Expected input to be 2D or 3D, got {input.dim()}D instead")
            raise ValueError(f"RNN: Expected input to be 2D or 3D, got {input.dim()}D tensor instead")
        batched = input.dim() == 3
        axis = 0 if self.batch_first else 1
        if hx is not None and hx.dim() != input.dim():
            if batched:
                raise RuntimeError(f"For batched 3-D input, hx should also be 3-D but got {hx.dim()}-D tensor")
            raise RuntimeError(f"For unbatched 2-D input, hx should also be 2-D but got {hx.dim()}-D tensor")
        batch = input if batched else input.unsqueeze(axis)
        self.check_features(batch)
        if hx is None:
            state = self.zero_state(batch, batch.size(axis), self.hidden_size)
        else:
            state = hx if batched else hx.unsqueeze(1)
        self.check_state(state, batch.size(axis), self.hidden_size, "hidden")
        output, last = self.run(batch, state)
        if not batched:
            return output.squeeze(axis), last.squeeze(1)
        return output, last

    def forward_packed(self, input: PackedSequence, hx: Optional[Tensor] = None) -> Tuple[PackedSequence, Tensor]:
        data, batch_sizes, order, back = input.data, input.batch_sizes, input.sorted_indices, input.unsorted_indices
        batch = int(batch_sizes[0])
        self.check_features(data)
        if hx is None:
            state = self.zero_state(data, batch, self.hidden_size)
        else:
            state = hx if order is None else hx.index_select(1, order)
        self.check_state(state, batch, self.hidden_size, "hidden")
        output, last = self.run_packed(data, batch_sizes, state)
        return PackedSequence(output, batch_sizes, order, back), (last if back is None else last.index_select(1, back))


class RNN(_SimpleRNN):
    """The Elman network."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device=None, dtype=None, proj_size: Optional[int] = None):
        if proj_size is not None:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__("RNN_TANH" if nonlinearity == "tanh" else "RNN_RELU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        self.nonlinearity = nonlinearity


class GRU(_SimpleRNN):
    """Gated recurrent units."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device=None, dtype=None, proj_size: Optional[int] = None):
        if proj_size is not None:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)


class LSTM(RNNBase):
    """Long short-term memory."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device=None, dtype=None):
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)

    def output_size(self) -> int:
        """The size of the output of one direction"""
        return self.proj_size if self.proj_size > 0 else self.hidden_size

    def forward(self, input: Tensor, hx: Optional[Tuple[Tensor, Tensor]] = None) -> Tuple[Tensor, Tuple[Tensor, Tensor]]:
        if input.dim() != 2 and input.dim() != 3:
            raise ValueError(f"LSTM: Expected input to be 2D or 3D, got {input.dim()}D instead")
        batched = input.dim() == 3
        axis = 0 if self.batch_first else 1
        batch = input if batched else input.unsqueeze(axis)
        if hx is None:
            h = self.zero_state(batch, batch.size(axis), self.output_size())
            c = self.zero_state(batch, batch.size(axis), self.hidden_size)
        else:
            h, c = hx
            if h.dim() != input.dim() or c.dim() != input.dim():
                if batched:
                    raise RuntimeError(f"For batched 3-D input, hx and cx should also be 3-D but got ({h.dim()}-D, {c.dim()}-D) tensors")
                raise RuntimeError(f"For unbatched 2-D input, hx and cx should also be 2-D but got ({h.dim()}-D, {c.dim()}-D) tensors")
            if not batched:
                h, c = h.unsqueeze(1), c.unsqueeze(1)
        self.check_features(batch)
        self.check_state(h, batch.size(axis), self.output_size(), "hidden[0]")
        self.check_state(c, batch.size(axis), self.hidden_size, "hidden[1]")
        output, last_h, last_c = torch.lstm(batch, [h, c], self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first)
        if not batched:
            return output.squeeze(axis), (last_h.squeeze(1), last_c.squeeze(1))
        return output, (last_h, last_c)

    def forward_packed(self, input: PackedSequence, hx: Optional[Tuple[Tensor, Tensor]] = None) -> Tuple[PackedSequence, Tuple[Tensor, Tensor]]:
        data, batch_sizes, order, back = input.data, input.batch_sizes, input.sorted_indices, input.unsorted_indices
        batch = int(batch_sizes[0])
        self.check_features(data)
        if hx is None:
            h = self.zero_state(data, batch, self.output_size())
            c = self.zero_state(data, batch, self.hidden_size)
        else:
            h, c = hx
            if order is not None:
                h, c = h.index_select(1, order), c.index_select(1, order)
        self.check_state(h, batch, self.output_size(), "hidden[0]")
        self.check_state(c, batch, self.hidden_size, "hidden[1]")
        output, last_h, last_c = torch.lstm(data, batch_sizes, [h, c], self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if back is not None:
            last_h, last_c = last_h.index_select(1, back), last_c.index_select(1, back)
        return PackedSequence(output, batch_sizes, order, back), (last_h, last_c)


class RNNCellBase(Module):
    """The parameters of cells."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.weight_ih = Parameter(torch.empty((num_chunks * hidden_size, input_size), dtype=dtype))
        self.weight_hh = Parameter(torch.empty((num_chunks * hidden_size, hidden_size), dtype=dtype))
        if bias:
            self.bias_ih = Parameter(torch.empty(num_chunks * hidden_size, dtype=dtype))
            self.bias_hh = Parameter(torch.empty(num_chunks * hidden_size, dtype=dtype))
        else:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)

    def check_vectors(self, x: Tensor, kind: str, name: str) -> None:
        """A vector, or one for each element of a batch."""
        if x.dim() != 1 and x.dim() != 2:
            raise ValueError(f"{kind}: Expected {name} to be 1D or 2D, got {x.dim()}D instead")

    def batch_of(self, x: Tensor) -> Tensor:
        """With a batch axis."""
        return x.unsqueeze(0) if x.dim() == 1 else x

    def zeros_for(self, input: Tensor) -> Tensor:
        """The state before the first element."""
        return torch.zeros([input.size(0), self.hidden_size], dtype=input.dtype, device=input.device)


class RNNCell(RNNCellBase):
    """One step of RNN."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tensor:
        self.check_vectors(input, "RNNCell", "input")
        if hx is not None:
            self.check_vectors(hx, "RNNCell", "hidden")
        batch = self.batch_of(input)
        state = self.zeros_for(batch) if hx is None else self.batch_of(hx)
        if self.nonlinearity == "tanh":
            result = torch.rnn_tanh_cell(batch, state, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        elif self.nonlinearity == "relu":
            result = torch.rnn_relu_cell(batch, state, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        else:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return result.squeeze(0) if input.dim() == 1 else result


class GRUCell(RNNCellBase):
    """One step of GRU."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tensor:
        self.check_vectors(input, "GRUCell", "input")
        if hx is not None:
            self.check_vectors(hx, "GRUCell", "hidden")
        batch = self.batch_of(input)
        state = self.zeros_for(batch) if hx is None else self.batch_of(hx)
        result = torch.gru_cell(batch, state, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return result.squeeze(0) if input.dim() == 1 else result


class LSTMCell(RNNCellBase):
    """One step of LSTM."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: Optional[Tuple[Tensor, Tensor]] = None) -> Tuple[Tensor, Tensor]:
        self.check_vectors(input, "LSTMCell", "input")
        batch = self.batch_of(input)
        if hx is None:
            h = self.zeros_for(batch)
            c = h
        else:
            self.check_vectors(hx[0], "LSTMCell", "hx[0]")
            self.check_vectors(hx[1], "LSTMCell", "hx[1]")
            h, c = self.batch_of(hx[0]), self.batch_of(hx[1])
        next_h, next_c = torch.lstm_cell(batch, [h, c], self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        if input.dim() == 1:
            return next_h.squeeze(0), next_c.squeeze(0)
        return next_h, next_c
