# kiln: check init_in_place.py --class Net
import torch
from torch import nn


def require(name: str, found, expected):
    if found != expected:
        raise ValueError(f"{name} is {found}, not {expected}")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        table = torch.arange(3).float()
        table += 0.5
        table *= torch.tensor([1.0, 2.0, 4.0])
        require("augmented", torch.equal(table, torch.tensor([0.5, 3.0, 10.0])), True)
        self.weight = nn.Parameter(table)
        table -= 0.5
        require("the parameter of a tensor", torch.equal(self.weight, torch.tensor([0.0, 2.5, 9.5])), True)
        self.weight.data.fill_(2.0)
        require("the tensor of a parameter", torch.equal(table, torch.tensor([2.0, 2.0, 2.0])), True)
        counts = torch.arange(3)
        counts.copy_(torch.tensor([1.5, 2.5, 3.5]))
        require("copied", torch.equal(counts, torch.tensor([1, 2, 3])), True)
        require("modulo", 5.5 % 0.1, 0.0999999999999997)
        require("floor division", 5.5 // 0.1, 54.0)
        self.is_on = True & False
        require("and", f"{self.is_on}", "False")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.is_on:
            return x
        return x * self.weight
