# kiln: compile bool_of_many.py --class Net --input 'x=f32[2,3]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x > 0:
            return x
        return -x
