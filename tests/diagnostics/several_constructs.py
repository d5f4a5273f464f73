# kiln: check several_constructs.py --class Net --weights small.safetensors
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        double = lambda t: t * 2
        try:
            x = double(x)
        except ValueError:
            pass
        sizes = {1, 2}
        return x
