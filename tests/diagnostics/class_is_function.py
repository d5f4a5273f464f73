# kiln: check class_is_function.py --class build
import torch
from torch import nn


def build(width):
    return width * 2
