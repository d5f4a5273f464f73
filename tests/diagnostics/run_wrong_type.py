# kiln: run run_wrong_type.py --class Net --weights linear.safetensors --inputs run_wrong_type.json
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)
