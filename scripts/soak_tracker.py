"""What a W&B server that fails does to a run: whole `runner` processes beside a stand-in of it.

    python scripts/soak_tracker.py --epochs 30 --repeats 3

Runs `runner dataset=lesmis model=ncn` without a tracker and against every behaviour of
`tests/wandb_stub.py`, in turn, and prints a Markdown table. `later` means that the run began well.
"""

from __future__ import annotations

import argparse
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

ROOT = Path(__file__).parent.parent
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--init-timeout", type=float, default=5.0)
    parser.add_argument("--finish-timeout", type=float, default=5.0)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    arguments = parser.parse_args()
    outcomes: dict[str, list[Outcome]] = {name: [] for name in arguments.only}
    for _ in range(arguments.repeats):
        for name in arguments.only:
            outcomes[name].append(_run(CASES[name], arguments))
            print(f"{name}: {outcomes[name][-1].seconds:.1f} s", file=sys.stderr)
    print(
        f"{arguments.repeats} runs each, {arguments.epochs} epochs, "
        f"tracker.init_timeout={arguments.init_timeout:g} "
        f"tracker.finish_timeout={arguments.finish_timeout:g}\n"
    )
    print("| server | ms an epoch | whole run, s (min to max) | exit | epochs | upload command |")
    print("|---|---|---|---|---|---|")
    for name, runs in outcomes.items():
        print(_line(name, runs))


def _run(case: tuple[Behaviour, int] | None, arguments: argparse.Namespace) -> Outcome:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
        tracker = ["tracker=none"]
        if case is not None:
            stub = stack.enter_context(WandbStub(case[0], after=case[1]))
            environment.update(WANDB_BASE_URL=stub.url, WANDB_API_KEY=API_KEY, WANDB_MODE="online")
            tracker = [
                f"tracker.init_timeout={arguments.init_timeout}",
                f"tracker.finish_timeout={arguments.finish_timeout}",
            ]
        command = [str(Path(sys.executable).parent / "runner"), "dataset=lesmis", "model=ncn"]
        command += [f"train.epochs={arguments.epochs}", f"hydra.run.dir={folder}/run", *tracker]
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


def _line(name: str, runs: list[Outcome]) -> str:
    epochs = [seconds for run in runs for seconds in run.epochs[1:]]
    whole = [run.seconds for run in runs]
    cells = [
        name,
        f"{1000 * statistics.median(epochs):.1f}" if epochs else "",
        f"{statistics.median(whole):.1f} ({min(whole):.1f} to {max(whole):.1f})",
        ", ".join(map(str, sorted({run.exit_code for run in runs}))),
        ", ".join(map(str, sorted({len(run.epochs) for run in runs}))),
        f"{sum(run.upload for run in runs)} of {len(runs)}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
