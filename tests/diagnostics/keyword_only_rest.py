# kiln: check keyword_only_rest.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor, **options) -> torch.Tensor:
        return x
