# kiln: run top_level_if.py --class Net --inputs run_raises.json
import torch
from torch import nn


WIDTH = 1
if WIDTH == 1:
    WIDTH = 5


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.width = WIDTH

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.width
