# kiln: compile weights_no_file.py --class Net --weights wieghts.safetensors --input 'x=f32[2,3]' -o {out}
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)
