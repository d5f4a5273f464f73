# kiln: check attribute_object.py --class Net
import torch
from torch import nn


class Config:
    def __init__(self):
        self.scale = 2.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.config = Config()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.config.scale
