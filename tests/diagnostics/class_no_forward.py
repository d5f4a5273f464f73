# kiln: check class_no_forward.py --class Net --weights small.safetensors
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def foward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)
