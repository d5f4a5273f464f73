# kiln: check list_append_type.py --class Net
from typing import Dict, List, Optional, Tuple

import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: torch.Tensor) -> List[torch.Tensor]:
        parts = []
        parts.append(x.size(0))
        return parts
