# kiln: run run_assert.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.dim() == 4, f"expected a batch of images, got {x.dim()} dimensions"
        return x
