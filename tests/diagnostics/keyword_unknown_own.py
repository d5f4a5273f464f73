# kiln: check keyword_unknown_own.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def scale(self, x: torch.Tensor, factor: float = 2.0) -> torch.Tensor:
        return x * factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale(x, factr=3.0)
