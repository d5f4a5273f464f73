# kiln: check init_division.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        self.rate = 1.0 / len(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x
