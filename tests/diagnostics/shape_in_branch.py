# kiln: compile shape_in_branch.py --class Net --input 'x=f32[3,3]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.size(0) > 2:
            x = x.view(5, 5)
        return x
