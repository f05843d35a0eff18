"""Runs that are killed again and again end as if they never had been."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from soaks.faulty import POINTS

_MOST_MISSED = 20
_FAULTY = Path(__file__).with_name("faulty.py")
ANY_MOMENT = "any moment"
# Edge dropout, sampled completion and several steps an epoch: every generator is in play.
SETTING = (
    "dataset=lesmis", "tracker=none", "encoder.hidden=8", "train.batch_size=16",
    "encoder.edge_dropout=0.1", "model.edge_dropout=0.2", "train.checkpoint_steps=4",
    "hardware.threads=1",
)  # fmt: skip
MODELS: dict[str, tuple[str, ...]] = {
    "ncn": (),
    "ncnc": ("model.completion.keep_train=2", "model.completion.keep_eval=3"),
}
# How often a point is reached in the first steps of a process, at least.
_REACHED = {"step": 9, "evaluation": 4, "half of last.pt": 3, "last.pt rotated": 3}


@dataclass
class Tally:
    """What was done and what came of it.

    Attributes:
        kills: by the point, those that did hit.
        missed: faults that processes ended without reaching, since the last that did; they are
            tried again.
        broken: runs that did not end as the undisturbed one.
        failures: what was not as it should be, a line each.
    """

    kills: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    broken: set[Path] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


def schedule(kills: int, seed: int) -> list[str]:
    """Where to kill: every named point three times if `kills` allows it, then at any moment."""
    named = [point for point in POINTS for _ in range(3)][:kills]
    points = named + [ANY_MOMENT] * (kills - len(named))
    random.Random(seed).shuffle(points)
    return points


def soak(
    folder: Path,
    points: list[str],
    *,
    seed: int,
    models: tuple[str, ...] = tuple(MODELS),
    epochs: int = 6,
    per_run: int = 5,
) -> Tally:
    """Kill runs of the models at all these points, and compare each with the undisturbed one.

    Args:
        folder: an empty one, for the runs.
        per_run: kills of a run, before it may go to its end.
    """
    tally = Tally()
    draw = random.Random(seed)
    duration = float("inf")
    for model in models:
        began = time.monotonic()
        code = run(*setting(model, epochs), f"hydra.run.dir={folder / model}")
        if code != 0:
            raise RuntimeError(f"the undisturbed run of {model} ended with {code}")
        duration = min(duration, time.monotonic() - began)
    while points:
        model = models[tally.runs % len(models)]
        path = folder / f"{model}-{tally.runs}"
        mine, points = points[:per_run], points[per_run:]
        left = _one_run(path, model, epochs, mine, duration, draw, tally)
        points = [*points, *left]
        if len(left) == len(mine) and tally.missed[left[0]] > _MOST_MISSED:
            raise RuntimeError(f"the point {left[0]} is never reached")
        for line in differences(path, folder / model):
            tally.failures.append(f"{path.name}: {line}")
            tally.broken.add(path)
        tally.runs += 1
    return tally


def _one_run(
    path: Path,
    model: str,
    epochs: int,
    points: list[str],
    duration: float,
    draw: random.Random,
    tally: Tally,
) -> list[str]:
    """Start a run, kill it at the points in turn, and bring it to its end; the points not hit.

    A process that gets past its point ends the run, so that the points after it wait for another.
    """
    left = sorted(points, key=lambda point: (point == "end", point != "start-up"))
    while left:
        arguments = _next(path, model, epochs)
        if left[0] == ANY_MOMENT:
            died = _killed_after(draw.uniform(0.2, duration), arguments)
        else:
            number = str(draw.randint(1, _REACHED.get(left[0], 1)))
            died = run_until_killed(left[0], number, arguments)
        if not died:
            tally.missed[left[0]] += 1
            break
        tally.missed[left[0]] = 0
        tally.kills[left.pop(0)] += 1
    code = run(*_next(path, model, epochs))
    if code != 0:
        tally.failures.append(f"{path.name}: the last resume ended with {code}")
    return left


def setting(model: str, epochs: int) -> tuple[str, ...]:
    return (*SETTING, f"model={model}", *MODELS[model], f"train.epochs={epochs}")


def _next(path: Path, model: str, epochs: int) -> tuple[str, ...]:
    """The command that goes on with the run in `path`, or begins it."""
    if (path / "config.yaml").exists():
        return (f"resume={path}",)
    return (*setting(model, epochs), f"hydra.run.dir={path}")


def differences(path: Path, whole: Path) -> list[str]:
    """In what the run in `path` is not the undisturbed one in `whole`, a line each."""
    found = []
    for name in ("config.yaml", "meta.json", "status.json", "summary.json"):
        if not (path / name).is_file():
            return [f"{name} is missing"]
    for key in ("best_epoch", "valid", "test", "epochs"):
        if _json(path / "summary.json")[key] != _json(whole / "summary.json")[key]:
            found.append(f"another {key} in summary.json")
    if _json(path / "status.json")["status"] != "done":
        found.append("status.json does not say done")
    if _curve(path) != _curve(whole):
        found.append("another metrics.jsonl")
    for name in ("last.pt", "best.pt"):
        mine, theirs = (
            torch.load(run / "checkpoints" / name, weights_only=True)["model"]
            for run in (path, whole)
        )
        if any(not torch.equal(torch.as_tensor(mine[k]), torch.as_tensor(theirs[k])) for k in mine):
            found.append(f"other weights in {name}")
    return found


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def _curve(path: Path) -> list[dict[str, Any]]:
    rows = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    return [
        {k: v for k, v in row.items() if "seconds" not in k and k != "memory_gib"} for row in rows
    ]


def run(*arguments: str) -> int:
    """The exit code of a `runner` process."""
    command = [sys.executable, "-m", "runner", *arguments]
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode


def run_until_killed(point: str, number: str, arguments: tuple[str, ...]) -> bool:
    """Whether a `runner` process has died at this point, reached for the `number`-th time."""
    command = [sys.executable, str(_FAULTY), point, number, *arguments]
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == -signal.SIGKILL


def _killed_after(seconds: float, arguments: tuple[str, ...]) -> bool:
    command = [sys.executable, "-m", "runner", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.returncode == -signal.SIGKILL
