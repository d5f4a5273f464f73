# kiln: compile shape_matmul.py --class Net --input 'x=f32[2,3]' --input 'y=f32[4,5]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.matmul(x, y)
