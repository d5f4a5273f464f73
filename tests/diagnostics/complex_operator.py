# kiln: compile complex_operator.py --class Net --input 'x=f32[2,8]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft(x).abs()
