# kiln: check recursion.py --class Net
import torch
from torch import nn


def factorial(n: int):
    if n < 2:
        return 1
    return n * factorial(n - 1)


class Net(nn.Module):
    def forward(self, n: int) -> int:
        return factorial(n)
