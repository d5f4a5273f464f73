# kiln: check init_assert_silent.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        heads = 3
        assert 8 % heads == 0
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x
