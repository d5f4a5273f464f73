# kiln: check import_missing_name.py --class Net
import torch
from torch import nn

from parts.layers import attnd


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return attnd(x)
