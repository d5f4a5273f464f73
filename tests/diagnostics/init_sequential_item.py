# kiln: run init_sequential_item.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Identity(), nn.ReLU())
        self.layers[0] = nn.Tanh()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)
