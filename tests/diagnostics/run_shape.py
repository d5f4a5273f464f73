# kiln: run run_shape.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("bias", torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.bias
