# kiln: check nested_def.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def double(t: torch.Tensor) -> torch.Tensor:
            return t * 2

        return double(x)
