# kiln: check with_open.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with open("log.txt") as log:
            log.write("called")
        return x
