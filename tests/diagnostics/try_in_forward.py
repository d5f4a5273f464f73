# kiln: check try_in_forward.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        try:
            return x.view(2, -1)
        except RuntimeError:
            return x
