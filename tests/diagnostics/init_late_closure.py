# kiln: run init_late_closure.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        functions = [lambda: width for width in (2, 4)]
        self.width = functions[0]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.width
