# kiln: check class_not_module.py --class Config
import torch
from torch import nn


class Config:
    def __init__(self):
        self.width = 4
