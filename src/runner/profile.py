"""Time and memory of every stage of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class StageCost:
    """What the calls of a stage took together, the stages within it included."""

    calls: int = 0
    seconds: float = 0.0
    raised_peak_gib: float = 0.0


class StageProfile:
    """An observer for :func:`ops.stage.observed`.

    Args:
        peak_memory_gib: the most memory held so far.
    """

    def __init__(self, peak_memory_gib: Callable[[], float]) -> None:
        self.costs: dict[str, StageCost] = {}
        self.peak_memory_gib = peak_memory_gib
        self._open: list[str] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._open.append(name)
        cost = self.costs.setdefault(" / ".join(self._open), StageCost())
        peak, began = self.peak_memory_gib(), time.perf_counter()
        try:
            yield
        finally:
            cost.calls += 1
            cost.seconds += time.perf_counter() - began
            cost.raised_peak_gib += max(0.0, self.peak_memory_gib() - peak)
            self._open.pop()
