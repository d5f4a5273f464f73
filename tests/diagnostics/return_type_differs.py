# kiln: check return_type_differs.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor, flag: bool):
        if flag:
            return x
        return x, 1
