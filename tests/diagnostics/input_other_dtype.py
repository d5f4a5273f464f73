# kiln: compile input_other_dtype.py --class Net --weights linear.safetensors --input 'x=i64[2,3]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)
