# kiln: check int_of_list.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = int([1, 2])
        return x[:n]
