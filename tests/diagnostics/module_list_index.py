# kiln: check module_list_index.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Tanh(), nn.ReLU()])

    def forward(self, x: torch.Tensor, i: int) -> torch.Tensor:
        return self.layers[i](x)
