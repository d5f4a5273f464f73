# kiln: check dict_key_type.py --class Net
from typing import Dict, List, Optional, Tuple

import torch
from torch import nn


class Net(nn.Module):
    def forward(self, scores: Dict[str, torch.Tensor]) -> torch.Tensor:
        return scores[0]
