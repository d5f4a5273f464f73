# kiln: run loop_else.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(3):
            if i > 5:
                break
        else:
            x = x + 1
        return x
