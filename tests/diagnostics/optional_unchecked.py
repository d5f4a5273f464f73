# kiln: check optional_unchecked.py --class Net
from typing import Dict, List, Optional, Tuple

import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor, mask: Optional[torch.Tensor] = None) -> torch.Tensor:
        return x * mask.float()
