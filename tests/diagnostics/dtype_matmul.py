# kiln: compile dtype_matmul.py --class Net --input 'x=f32[2,3]' --input 'y=i64[3,2]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x @ y
