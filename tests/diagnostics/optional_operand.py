# kiln: check optional_operand.py --class Net
from typing import Dict, List, Optional, Tuple

import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor, scale: Optional[float] = None) -> torch.Tensor:
        return x * scale
