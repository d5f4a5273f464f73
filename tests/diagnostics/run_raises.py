# kiln: run run_raises.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x.sum() > 10):
            raise ValueError(f"the sum is {x.sum().item()}")
        return x
