# kiln: compile shape_view.py --class Net --input 'x=f32[2,3]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(4, -1)
