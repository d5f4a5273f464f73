# kiln: run run_index.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = int(x.sum())
        return x[n]
