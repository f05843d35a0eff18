"""Search a node in a sorted row."""

from __future__ import annotations

from numba import njit


@njit(nogil=True, inline="always")
def lower_bound(col, low, high, node):
    """First place from ``low`` to ``high`` whose node is not below ``node``."""
    while low < high:
        middle = (low + high) >> 1
        if col[middle] < node:
            low = middle + 1
        else:
            high = middle
    return low
