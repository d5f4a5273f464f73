# kiln: check self_missing.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(x: torch.Tensor) -> torch.Tensor:
        return x
