# kiln: run init_write_type.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        table = torch.arange(3)
        table.add_(0.5)
        self.register_buffer("table", table)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.table
