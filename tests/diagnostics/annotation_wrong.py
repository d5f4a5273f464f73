# kiln: check annotation_wrong.py --class Net
from typing import Dict, List, Optional, Tuple

import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x: List[torch.Tensor, int]) -> torch.Tensor:
        return x[0]
