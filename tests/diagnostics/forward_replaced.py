# kiln: run forward_replaced.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def doubled(self, x: torch.Tensor) -> torch.Tensor:
    return x * 2


Net.forward = doubled
