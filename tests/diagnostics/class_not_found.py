# kiln: check class_not_found.py --class Nett
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int, depth: int = 2):
        super().__init__()
        self.fc = nn.Linear(width, depth)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)
