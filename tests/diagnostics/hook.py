# kiln: run hook.py --class Net --inputs run_raises.json
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.act.register_forward_hook(lambda module, args, result: result + 100)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x)
