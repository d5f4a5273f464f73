# kiln: check not_iterable.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = 0
        for i in x.size(0):
            total += i
        return x * total
