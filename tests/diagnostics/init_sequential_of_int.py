# kiln: check init_sequential_of_int.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.ReLU(), 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)
