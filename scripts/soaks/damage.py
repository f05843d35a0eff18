"""Files of an unfinished run are damaged at random places; the resume must notice and survive."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from soaks import kills

FILES = (
    "checkpoints/last.pt", "checkpoints/best.pt", "metrics.jsonl", "status.json", "config.yaml",
    "meta.json",
)  # fmt: skip
KINDS = ("bit flipped", "truncated")


@dataclass
class Tally:
    """How often each file was damaged and survived, and what was not as it should be."""

    survived: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def soak(folder: Path, *, times: int, seed: int, epochs: int = 4) -> Tally:
    """Damage each file `times` times in each way, and resume."""
    tally = Tally()
    draw = random.Random(seed)
    whole, cut = folder / "whole", folder / "cut"
    kills.run(*kills.setting("ncnc", epochs), f"hydra.run.dir={whole}")
    kills.run_until_killed("step", "30", (*kills.setting("ncnc", epochs), f"hydra.run.dir={cut}"))
    for file in FILES:
        for kind in KINDS:
            for number in range(times):
                copy = folder / f"{Path(file).name}-{kind.split()[0]}-{number}"
                shutil.copytree(cut, copy)
                _damage(copy / file, kind, draw)
                resumed = subprocess.run(
                    [sys.executable, "-m", "runner", f"resume={copy}"],
                    capture_output=True, text=True,
                )  # fmt: skip
                problems = [] if resumed.returncode == 0 else [resumed.stderr.strip()]
                if f"{copy / file}" not in resumed.stdout or "damaged" not in resumed.stdout:
                    problems.append("it was not named")
                problems = problems or kills.differences(copy, whole)
                tally.failures += [f"{copy.name}: {problem}" for problem in problems]
                tally.survived[file, kind] += not problems
                shutil.rmtree(copy)
    return tally


def _damage(path: Path, kind: str, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    place = draw.randrange(len(content))
    if kind == "truncated":
        del content[place:]
    else:
        content[place] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
