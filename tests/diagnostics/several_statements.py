# kiln: check several_statements.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = torch.sofmax(x, 1)
        b = x.sofplus()
        return hiden + a + b
