# kiln: check init_padding_mode.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, kernel_size=3, padding="sam")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)
