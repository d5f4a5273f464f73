# kiln: check several_mistakes.py --class Net --weights small.safetensors
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.sofmax(x, dim=1)
        return self.head(x)

    @torch.jit.export
    def embed(self, x: torch.Tensor) -> str:
        return x.mean()

    @torch.jit.export
    def width(self) -> int:
        return self.widht
