# kiln: check tensor_as_int.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.sum(), -1)
