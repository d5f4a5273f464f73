# kiln: check attribute_mixed_list.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.sizes = [1, "two", 3.0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.sizes[0]
