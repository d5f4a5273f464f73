# kiln: run top_level_loop.py --class Net --inputs run_raises.json
import torch
from torch import nn


WIDTHS = []
for exponent in range(4):
    WIDTHS.append(2 ** exponent)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.width = len(WIDTHS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.width
