"""Many runs that start in the same second on the same dataset, with an empty cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Tally:
    """How many runs were started and ended well, and how many of them made the cache."""

    runs: int
    done: int = 0
    folders: int = 0
    builds: int = 0
    failures: list[str] = field(default_factory=list)


def soak(folder: Path, *, runs: int = 8) -> Tally:
    """Start all at once: ogbl-ddi with common neighbours, in one folder of outputs."""
    tally = Tally(runs)
    environment = {**os.environ, "RUNNER_CACHE": str(folder / "cache")}
    command = [
        sys.executable, "-m", "runner", "model=cn", "dataset=ogbl-ddi", "tracker=none",
        "hardware.threads=1",
    ]  # fmt: skip
    processes = [
        subprocess.Popen(
            command, cwd=folder, env=environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for _ in range(runs)
    ]  # fmt: skip
    for process in processes:
        _, errors = process.communicate()
        if process.returncode != 0:
            tally.failures.append(f"a run ended with {process.returncode}: {errors.strip()}")
    folders = [path.parent for path in folder.glob("outputs/*/*/*/status.json")]
    tally.folders = len(folders)
    scores = set()
    for path in folders:
        if json.loads((path / "status.json").read_text())["status"] != "done":
            continue
        tally.done += 1
        tally.builds += "is processed, once, into" in (path / "run.log").read_text()
        scores.add(json.dumps(json.loads((path / "summary.json").read_text())["test"]))
    if (tally.done, tally.folders, tally.builds, len(scores)) != (runs, runs, 1, 1):
        tally.failures.append(f"{tally}, {len(scores)} different results")
    left = [str(path) for path in (folder / "cache" / "ogb").iterdir() if path.name[0] == "."]
    if left:
        tally.failures.append(f"left in the cache: {', '.join(left)}")
    return tally
