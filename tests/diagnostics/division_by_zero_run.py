# kiln: run division_by_zero_run.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (10 // (x.size(0) - 2))
