# kiln: compile shape_cat_sizes.py --class Net --input 'x=f32[2,3]' --input 'y=f32[4,3]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, y], dim=1)
