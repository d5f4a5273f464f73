# kiln: check init_endless.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        n = 1
        while n != 0:
            n = n + 2
        self.n = n

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.n
