# kiln: check module_dict_key.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleDict({"a": nn.ReLU()})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.heads["b"](x)
