# kiln: check init_int_too_large.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.seed = 2**70

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.seed
