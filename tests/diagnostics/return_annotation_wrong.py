# kiln: check return_annotation_wrong.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> int:
        return x + 1
