# kiln: check name_undefined.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(x)
        return hiden + 1
