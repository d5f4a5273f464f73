# kiln: check init_module_in_itself.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.me = self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x
