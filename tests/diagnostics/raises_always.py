# kiln: compile raises_always.py --class Net --input 'x=f32[2,3]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dim() != 4:
            raise ValueError("expected a batch of images")
        return x
