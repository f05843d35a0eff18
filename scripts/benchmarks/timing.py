"""How things are timed: repeatedly, the candidates of a comparison in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

UNIT_ROWS, UNIT_WIDTH, UNIT_CHUNK = 2_113_487, 64, 65_536


@dataclass(frozen=True)
class Times:
    """Seconds of the repetitions."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        if len(self.seconds) == 1:
            return f"{self.median:.3g}"
        return f"{self.median:.3g} ({min(self.seconds):.3g} to {max(self.seconds):.3g})"


def in_turn(
    candidates: Mapping[str, Callable[[], Any]], repeats: int, *, warm_up: bool = True
) -> dict[str, Times]:
    """Time the candidates one after the other, `repeats` times.

    Args:
        warm_up: each is called once before, unmeasured.
    """
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for function in candidates.values() if warm_up else ():
        function()
    for _ in range(repeats):
        for name, function in candidates.items():
            began = time.perf_counter()
            function()
            taken[name].append(time.perf_counter() - began)
    return {name: Times(tuple(seconds)) for name, seconds in taken.items()}


def unit() -> float:
    """U: seconds of 4 x (Linear 64→64, ReLU) without gradient over 2,113,487 rows, best of 5."""
    layers = [m for _ in range(4) for m in (nn.Linear(UNIT_WIDTH, UNIT_WIDTH), nn.ReLU())]
    network = nn.Sequential(*layers)
    rows = torch.randn(UNIT_ROWS, UNIT_WIDTH)

    def once() -> None:
        for chunk in rows.split(UNIT_CHUNK):
            network(chunk)

    with torch.no_grad():
        return min(in_turn({"unit": once}, 5)["unit"].seconds)


def copy_bandwidth() -> float:
    """Bytes a second read and written by a copy that fits no cache, best of 5, all threads."""
    source = torch.ones(2**26)
    target = torch.empty_like(source)
    best = min(in_turn({"copy": lambda: target.copy_(source)}, 5)["copy"].seconds)
    return 2 * source.numel() * source.element_size() / best
