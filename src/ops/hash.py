"""Random bits that are a function of some integers alone, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

# SplitMix64 (Steele et al. 2014), as signed 64-bit integers, whose products wrap around.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64


def mix(seed: int, *numbers: Tensor) -> Tensor:
    """64 well mixed bits, int64, of a seed and of integers of broadcast shapes, in this order."""
    key = torch.tensor(seed, device=numbers[0].device)
    for number in numbers:
        key = finalise(key + (number.long() + 1) * _STEP)
    return key


def finalise(key: Tensor) -> Tensor:
    """Mix the bits of int64: the finaliser of SplitMix64, one to one."""
    key = (key ^ _shifted(key, 30)) * _FIRST
    key = (key ^ _shifted(key, 27)) * _SECOND
    return key ^ _shifted(key, 31)


def uniform(bits: Tensor) -> Tensor:
    """float64 in [0, 1) from :func:`mix`."""
    return _shifted(bits, 11).double() * 2.0**-53


def _shifted(key: Tensor, by: int) -> Tensor:
    """Shifted to the right, zeros coming in."""
    return (key >> by) & ((1 << (64 - by)) - 1)
