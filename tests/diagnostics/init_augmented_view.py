# kiln: run init_augmented_view.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        table = torch.zeros(3)
        rows = table[1:]
        rows += 9.0
        self.register_buffer("table", table)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.table
