# kiln: check unused_unsupported.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            return self.loss(x)
        return x

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        return x.backwrd()
