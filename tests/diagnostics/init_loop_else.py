# kiln: run init_loop_else.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.width = 1
        for width in [3, 5]:
            if width % 2 == 0:
                break
        else:
            self.width = 7

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.width
