# kiln: check init_parameter_of_ints.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.arange(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale
