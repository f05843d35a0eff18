"""`runner`, killed at a chosen point: python scripts/soaks/faulty.py <point> <time> <arguments …>.

The command itself knows nothing of faults: they are put around its functions here. SIGKILL hits
when the point is reached for the `time`-th time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

from runner.cli import main as cli
from runner.experiment import parts
from runner.records import checkpoint
from runner.records import folder as run_folder
from runner.training import evaluator as evaluate
from runner.training import loop as train


def die() -> None:
    """Leave as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def _half(path: Any) -> None:
    os.truncate(path, os.path.getsize(path) // 2)
    die()


def _before(owner: Any, name: str, now: Callable[..., bool]) -> Any:
    original = getattr(owner, name)

    def replaced(*arguments: Any, **named: Any) -> Any:
        if now(*arguments):
            die()
        return original(*arguments, **named)

    return mock.patch.object(owner, name, replaced)


def _after(owner: Any, name: str, now: Callable[..., bool]) -> Any:
    original = getattr(owner, name)

    def replaced(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        if now(*arguments):
            die()
        return result

    return mock.patch.object(owner, name, replaced)


def _half_checkpoint(name: str, now: Callable[..., bool]) -> Any:
    original = checkpoint.seal_archive

    def replaced(path: Any) -> None:
        original(path)
        if path.name.startswith(f".{name}.") and now():
            _half(path)

    return mock.patch.object(checkpoint, "seal_archive", replaced)


def _half_line(now: Callable[..., bool]) -> Any:
    original = run_folder.RunFolder.flush_metrics

    def replaced(folder: Any) -> None:
        missing = folder._metrics.encode()[folder._metrics_written :]
        if missing and now():
            with open(folder.metrics, "ab") as file:
                file.write(missing[: len(missing) // 2])
            die()
        original(folder)

    return mock.patch.object(run_folder.RunFolder, "flush_metrics", replaced)


def _at_the_end(now: Callable[..., bool]) -> Any:
    original = run_folder.RunFolder.write_json

    def replaced(folder: Any, name: str, content: Any) -> None:
        if name == "summary.json" and now():
            die()
        original(folder, name, content)

    return mock.patch.object(run_folder.RunFolder, "write_json", replaced)


POINTS: dict[str, Callable[[Callable[..., bool]], Any]] = {
    "start-up": lambda now: _before(run_folder.RunFolder, "_write_new_meta", now),
    "data": lambda now: _after(parts, "load_data", now),
    "step": lambda now: _before(train, "train_step", now),
    "evaluation": lambda now: _before(evaluate.RankingEvaluator, "_score", now),
    "half a metrics line": _half_line,
    "half of best.pt": lambda now: _half_checkpoint("best.pt", now),
    "half of last.pt": lambda now: _half_checkpoint("last.pt", now),
    "last.pt rotated": lambda now: _after(checkpoint, "_rotate", now),
    "end": _at_the_end,
}


def main() -> None:
    point, time, *arguments = sys.argv[1:]
    left = int(time)

    def now(*_: Any) -> bool:
        nonlocal left
        left -= 1
        return left == 0

    sys.argv = ["runner", *arguments]
    with POINTS[point](now):
        cli.main()


if __name__ == "__main__":
    main()
