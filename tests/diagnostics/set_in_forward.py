# kiln: check set_in_forward.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sizes = {x.size(0), x.size(1)}
        return x * len(sizes)
