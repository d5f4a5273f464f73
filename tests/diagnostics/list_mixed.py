# kiln: check list_mixed.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x, 1, "two"]
        return x
