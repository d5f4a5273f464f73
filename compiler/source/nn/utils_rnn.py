"""torch.nn.utils.rnn: sequences of different lengths."""

import torch
from torch import Tensor
from typing import List, NamedTuple, Optional, Tuple, Union


class PackedSequence(NamedTuple):
    """Sequences by decreasing length, with all elements of one time step together."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Optional[Tensor] = None
    unsorted_indices: Optional[Tensor] = None


def invert_permutation(permutation: Optional[Tensor]) -> Optional[Tensor]:
    """The permutation that undoes one"""
    if permutation is None:
        return None
    return torch.empty_like(permutation).scatter_(0, permutation, torch.arange(0, permutation.numel(), device=permutation.device))


def pack_padded_sequence(input: Tensor, lengths: Union[Tensor, List[int]], batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """Packs padded sequences."""
    if isinstance(lengths, Tensor):
        counts = lengths
    else:
        counts = torch.tensor(lengths, dtype=torch.int64)
    if enforce_sorted:
        data, batch_sizes = torch._pack_padded_sequence(input, counts, batch_first)
        return PackedSequence(data, batch_sizes, None, None)
    counts, order = torch.sort(counts, descending=True)
    data, batch_sizes = torch._pack_padded_sequence(input.index_select(0 if batch_first else 1, order), counts, batch_first)
    return PackedSequence(data, batch_sizes, order, invert_permutation(order))


def pad_packed_sequence(sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: Optional[int] = None) -> Tuple[Tensor, Tensor]:
    """Pads packed sequences, and gives their lengths."""
    longest = sequence.batch_sizes.size(0)
    length = longest
    if total_length is not None:
        if total_length < longest:
            raise ValueError(f"Expected total_length to be at least the length of the longest sequence in input, but got total_length={total_length} and max sequence length being {longest}")
        length = total_length
    padded, lengths = torch._pad_packed_sequence(sequence.data, sequence.batch_sizes, batch_first, padding_value, length)
    order = sequence.unsorted_indices
    if order is not None:
        return padded.index_select(0 if batch_first else 1, order), lengths.index_select(0, order)
    return padded, lengths


def pad_sequence(sequences: List[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right") -> Tensor:
    """Stacks sequences, padded to the longest."""
    return torch._C._nn.pad_sequence(sequences, batch_first, padding_value, padding_side)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> List[Tensor]:
    """The sequences of a padded stack"""
    stack = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    result: List[Tensor] = []
    for i in range(stack.size(0)):
        result.append(stack[i].narrow(0, 0, int(lengths[i])))
    return result


def pack_sequence(sequences: List[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences."""
    lengths: List[int] = []
    for sequence in sequences:
        lengths.append(sequence.size(0))
    return pack_padded_sequence(pad_sequence(sequences), lengths, False, enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> List[Tensor]:
    """The sequences of packed ones"""
    padded, lengths = pad_packed_sequence(packed_sequences, True)
    return unpad_sequence(padded, lengths, True)
