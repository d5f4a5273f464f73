# kiln: check tuple_index.py --class Net
from typing import Dict, List, Optional, Tuple

import torch
from torch import nn


class Net(nn.Module):
    def forward(self, pair: Tuple[torch.Tensor, int]) -> torch.Tensor:
        return pair[2]
