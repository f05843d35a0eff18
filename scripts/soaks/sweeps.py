"""Sweeps that are killed again and again do every job once, and end as if they never had been."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soaks.kills import differences

_QUICK = ("dataset=lesmis", "tracker=none", "model=gae", "train.epochs=12", "encoder.hidden=8")
_SPACE = "train.lr_encoder=tag(log,interval(1e-4,1e-1))"
# The launcher of several processes for the grid; a search with one trial at a time can be repeated.
KINDS: dict[str, tuple[str, ...]] = {
    "grid": (*_QUICK, "seed=range(6)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "search": (*_QUICK, "search=tpe", "hydra.sweeper.search.trials=8", _SPACE, "hardware.threads=1",
               "hydra.sweeper.search.pruner.n_warmup_steps=4"),
}  # fmt: skip


@dataclass
class Tally:
    """What was done and what came of it; `failures` has a line for each that is not as promised."""

    kills: int = 0
    jobs: int = 0
    attempts: int = 0
    failures: list[str] = field(default_factory=list)


def soak(folder: Path, kind: str, *, kills: int, seed: int) -> Tally:
    """Kill sweeps of a kind at any moments, each up to five times, and compare with a whole one.

    Args:
        folder: an empty one, for the sweeps.
    """
    tally = Tally()
    draw = random.Random(seed)
    whole = folder / "whole"
    began = time.monotonic()
    code = _start(kind, whole).wait()
    if code != 0:
        raise RuntimeError(f"the undisturbed {kind} ended with {code}")
    duration = time.monotonic() - began
    number = 0
    while tally.kills < kills:
        number += 1
        _one_sweep(
            folder / f"sweep-{number}", kind, min(5, kills - tally.kills), duration, draw, tally
        )
        tally.failures += [
            f"{kind} {number}: {line}" for line in _differences(folder / f"sweep-{number}", whole)
        ]
    return tally


def _one_sweep(
    path: Path, kind: str, kills: int, duration: float, draw: random.Random, tally: Tally
) -> None:
    finished: dict[int, dict[str, Any]] = {}
    for _ in range(kills):
        process = _start(kind, path)
        try:
            process.wait(draw.uniform(0.5, duration))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            tally.kills += 1
        now = {job["job"]: job for job in _jobs(path) if job["state"] in ("done", "pruned")}
        lost = [number for number, job in finished.items() if now.get(number) != job]
        tally.failures += [f"{path.name}: finished job {number} was touched" for number in lost]
        finished = now
    code = _start(kind, path).wait()
    if code != 0:
        tally.failures.append(f"{path.name}: the last command ended with {code}")
    tally.jobs += len(_jobs(path))
    tally.attempts += sum(job["attempts"] for job in _jobs(path))


def _start(kind: str, path: Path) -> subprocess.Popen[bytes]:
    """The sweep's command, which goes on with what is there."""
    return subprocess.Popen(
        [sys.executable, "-m", "runner", "-m", *KINDS[kind], f"hydra.sweep.dir={path}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def _jobs(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in (path / "ledger.jsonl").read_text().splitlines()]
    except FileNotFoundError:
        return []


def _differences(path: Path, whole: Path) -> list[str]:
    found = []
    mine, theirs = _jobs(path), _jobs(whole)
    for key in ("parameters", "state"):
        if [job[key] for job in mine] != [job[key] for job in theirs]:
            return [f"{key} of the jobs differ from the undisturbed sweep's"]
    for job, other in zip(mine, theirs, strict=True):
        if job["state"] == "done":
            lines = differences(path / job["folder"], whole / other["folder"])
            found += [f"job {job['job']}: {line}" for line in lines]
    return found
