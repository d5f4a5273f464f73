# kiln: compile rank_differs.py --class Net --input 'x=f32[2,3]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x.sum() > 0):
            x = x.flatten()
        return x * 2
