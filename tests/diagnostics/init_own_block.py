# kiln: check init_own_block.py --class Net
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width: int, depth: int):
        super().__init__()
        self.fc = nn.Linear(width, width // depth)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block(4, depth=0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x)
