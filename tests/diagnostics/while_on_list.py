# kiln: check while_on_list.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x]
        while parts:
            x = parts.pop()
        return x
