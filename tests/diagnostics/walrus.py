# kiln: check walrus.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if (n := x.size(0)) > 2:
            return x[:n]
        return x
