# kiln: check dict_of_functions.py --class Net
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor, mode: str) -> torch.Tensor:
        functions = {"relu": torch.relu, "tanh": torch.tanh}
        return functions[mode](x)
