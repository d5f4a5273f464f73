# kiln: compile rank_from_data.py --class Net --input 'x=f32[2,3]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = int(x.sum())
        for _ in range(n):
            x = x.unsqueeze(0)
        return x
