# kiln: check generator_nested.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pairs = [i * j for i in range(3) for j in range(3)]
        return x * sum(pairs)
