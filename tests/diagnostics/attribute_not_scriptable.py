# kiln: check attribute_not_scriptable.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.names = {"a", "b"}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * len(self.names)
