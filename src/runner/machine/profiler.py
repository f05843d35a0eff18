"""`hardware.profile=true`: time and memory of every stage of a run, and a trace of a few steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from runner.ops.stage import observed

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

_LAST_STAGE = "optimiser"
_SKIPPED, _TRACED = 2, 3  # steps before the trace (they load kernels and fill caches), and in it


@dataclass
class StageCost:
    """The cost of all calls of a stage, including the stages within it."""

    calls: int = 0
    seconds: float = 0.0
    raised_peak_gib: float = 0.0


class StageProfile:
    """An observer for :func:`runner.ops.stage.observed`.

    Args:
        peak_memory_gib: the peak memory so far.
        after: called at the end of every stage, with its name.
        settle: waits until the device has finished its work.
    """

    def __init__(
        self,
        peak_memory_gib: Callable[[], float],
        after: Callable[[str], None] = lambda name: None,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self.costs: dict[str, StageCost] = {}
        self.peak_memory_gib = peak_memory_gib
        self.after = after
        self.settle = settle
        self._open: list[str] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._open.append(name)
        cost = self.costs.setdefault(" / ".join(self._open), StageCost())
        self.settle()
        peak, began = self.peak_memory_gib(), time.perf_counter()
        try:
            yield
        finally:
            self.settle()
            cost.calls += 1
            cost.seconds += time.perf_counter() - began
            cost.raised_peak_gib += max(0.0, self.peak_memory_gib() - peak)
            self._open.pop()
            self.after(name)

    def table(self) -> pandas.DataFrame:
        """A row for each stage; shares are relative to the sum over the outermost stages."""
        import pandas  # not at the top: slow

        rows = pandas.DataFrame(
            [{"stage": name, **asdict(cost)} for name, cost in self.costs.items()],
            columns=["stage", "calls", "seconds", "raised_peak_gib"],
        )
        outermost = ~rows["stage"].str.contains(" / ", regex=False)
        rows["share"] = rows["seconds"] / rows["seconds"][outermost].sum()
        rows["seconds_a_call"] = rows["seconds"] / rows["calls"]
        return rows

    def flat(self) -> Mapping[str, float]:
        """The costs as flat keys, for the summary of the tracker."""
        return {
            f"profile/{name}/{key}": value
            for name, cost in self.costs.items()
            for key, value in asdict(cost).items()
        }


@contextmanager
def profiled(
    folder: Path,
    device: torch.device,
    peak_memory_gib: Callable[[], float],
    summary: dict[str, Any],
) -> Iterator[None]:
    """Observe the stages inside the `with`; then write profile.csv and add it to `summary`.

    trace.json in `folder` is for chrome://tracing or https://ui.perfetto.dev. A resume overwrites
    both with its own steps. A run of fewer than two steps leaves no trace.
    """
    activities = [ProfilerActivity.CPU]
    on_gpu = device.type == "cuda"
    if on_gpu:
        activities.append(ProfilerActivity.CUDA)
    trace = profile(
        activities=activities,
        schedule=schedule(wait=_SKIPPED - 1, warmup=1, active=_TRACED, repeat=1),
        on_trace_ready=lambda ready: ready.export_chrome_trace(str(folder / "trace.json")),
    )

    def after(name: str) -> None:
        if name == _LAST_STAGE:
            trace.step()

    settle = partial(torch.cuda.synchronize, device) if on_gpu else lambda: None
    stages = StageProfile(peak_memory_gib, after, settle)
    trace.start()
    try:
        with observed(stages):
            yield
    finally:
        summary.update(stages.flat())
        try:
            trace.stop()
            if stages.costs:
                stages.table().to_csv(folder / "profile.csv", index=False, float_format="%.6g")
                log.info("profile.csv has time and memory of every stage, trace.json a few steps")
        except OSError as error:
            log.warning("the profile cannot be written (%s)", error)
