"""Calls of operators that neither OpInfo nor the special values cover."""

import torch

BY_HAND = {}
ONLY_BY_HAND = set()
