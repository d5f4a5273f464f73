# kiln: check not_callable.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.width = 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.width(x)
