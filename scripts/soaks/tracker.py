"""What a W&B server that fails does to a run: whole `runner` processes beside a stand-in of it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.wandb_stub import API_KEY, Behaviour, WandbStub  # noqa: E402

REQUESTS_OF_START = 3
CASES: dict[str, tuple[Behaviour, int] | None] = {
    "no tracker": None,
    "ok": ("ok", 0),
    "refuse": ("refuse", 0),
    "hang": ("hang", 0),
    "slow (1 s)": ("slow", 0),
    "429": ("rate limit", 0),
    "500": ("error", 0),
    "refuse, later": ("refuse", REQUESTS_OF_START),
    "hang, later": ("hang", REQUESTS_OF_START),
    "429, later": ("rate limit", REQUESTS_OF_START),
    "500, later": ("error", REQUESTS_OF_START),
}


@dataclass
class Outcome:
    """One run: its epochs' seconds, those of the whole process, how it ended."""

    epochs: list[float]
    seconds: float
    exit_code: int
    upload: bool


def soak(*, epochs: int = 30, repeats: int = 3, timeout: float = 5.0) -> dict[str, list[Outcome]]:
    """Runs of `dataset=lesmis model=ncn` without a tracker and beside every behaviour, in turn.

    Args:
        timeout: for `tracker.init_timeout` and `tracker.finish_timeout`, in seconds.
    """
    outcomes: dict[str, list[Outcome]] = {name: [] for name in CASES}
    for _ in range(repeats):
        for name, case in CASES.items():
            outcomes[name].append(_run(case, epochs, timeout))
    return outcomes


def failures(outcomes: dict[str, list[Outcome]], epochs: int) -> list[str]:
    """Runs that a server has stopped, and those that lost an epoch, a line each."""
    return [
        f"{name}: exit code {run.exit_code}, {len(run.epochs)} epochs"
        for name, runs in outcomes.items()
        for run in runs
        if (run.exit_code, len(run.epochs)) != (0, epochs)
    ]


def row(name: str, runs: list[Outcome]) -> tuple[str, ...]:
    """Name, ms an epoch, seconds of the whole run, and how many were told how to upload."""
    epochs = [seconds for run in runs for seconds in run.epochs[1:]]
    whole = [run.seconds for run in runs]
    return (
        name,
        f"{1000 * statistics.median(epochs):.1f}",
        f"{statistics.median(whole):.1f} ({min(whole):.1f} to {max(whole):.1f})",
        f"{sum(run.upload for run in runs)} of {len(runs)}",
    )


def _run(case: tuple[Behaviour, int] | None, epochs: int, timeout: float) -> Outcome:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
        tracker = ["tracker=none"]
        if case is not None:
            stub = stack.enter_context(WandbStub(case[0], after=case[1]))
            environment.update(WANDB_BASE_URL=stub.url, WANDB_API_KEY=API_KEY, WANDB_MODE="online")
            tracker = [
                f"tracker.init_timeout={timeout}",
                f"tracker.finish_timeout={timeout}",
            ]
        command = [str(Path(sys.executable).parent / "runner"), "dataset=lesmis", "model=ncn"]
        command += [
            f"train.epochs={epochs}",
            "hardware.threads=1",
            f"hydra.run.dir={folder}/run",
            *tracker,
        ]
        began = time.monotonic()
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
        seconds = time.monotonic() - began
        log = folder / "run" / "metrics.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return Outcome(
            epochs=[json.loads(line)["seconds"] for line in lines],
            seconds=seconds,
            exit_code=done.returncode,
            upload="wandb sync" in done.stdout,
        )
