# kiln: check init_assert.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        heads = 3
        assert 8 % heads == 0, "heads must divide the width"
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x
