# kiln: check class_not_found_of_many.py --class Model
import torch
from torch import nn


class Encoder(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Decoder(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x
