# kiln: run decorator_on_function.py --class Net --inputs run_raises.json
import torch
from torch import nn


def twice(function):
    def call(width):
        return 2 * function(width)

    return call


@twice
def wider(width):
    return width + 1


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.width = wider(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.width
