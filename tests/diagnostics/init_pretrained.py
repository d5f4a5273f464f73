# kiln: check init_pretrained.py --class Net
import torch
import torchvision
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torchvision.models.resnet18(weights="DEFAULT")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)
