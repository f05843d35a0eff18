"""Tensors nested in containers, as a predictor's structure holds them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def move(structure: Any, device: torch.device) -> Any:
    """Move tensors, nested in dicts, lists and tuples, to a device."""
    if isinstance(structure, Tensor):
        return structure.to(device)
    if isinstance(structure, dict):
        return {key: move(value, device) for key, value in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)(move(value, device) for value in structure)
    return structure
