# kiln: check init_raise.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = 3
        if width % 2:
            raise ValueError(f"width must be even, not {width}")
        self.width = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x
