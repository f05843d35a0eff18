"""A disk that fills up, or a folder that goes away, under a run, and comes back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from soaks import kills

EPOCHS = 60
_FILLER = "filler"


@dataclass
class Tally:
    """What each fault did: the messages of the run and how it ended; and what was not right."""

    rows: list[tuple[str, int, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextmanager
def small_disk(path: Path):
    """A file system of 4 MB in memory at `path`.

    Raises:
        PermissionError: if this user may not mount one.
    """
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True).returncode:
        raise PermissionError("this user may not mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _fill(disk: Path) -> None:
    with open(disk / _FILLER, "wb") as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()


def _empty(disk: Path) -> None:
    (disk / _FILLER).unlink(missing_ok=True)


def _away(disk: Path) -> None:
    os.rename(disk / "run", disk / "away")


def _back(disk: Path) -> None:
    shutil.rmtree(disk / "run", ignore_errors=True)
    os.rename(disk / "away", disk / "run")


FAULTS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "full": (_fill, _empty),
    "folder gone": (_away, _back),
}


def soak(folder: Path) -> Tally:
    """Inject each fault after the tenth epoch, once for a while and once to the end of the run."""
    tally = Tally()
    whole = folder / "whole"
    kills.run(*kills.setting("ncn", EPOCHS), f"hydra.run.dir={whole}")
    for fault, (begin, end) in FAULTS.items():
        for passing in (True, False):
            name = f"{fault}, {'for 3 s' if passing else 'to the end'}"
            disk = folder / name.replace(" ", "-").replace(",", "")
            with small_disk(disk):
                code, problems = _one(disk, whole, begin, end, passing=passing)
            tally.rows.append((name, code, "; ".join(problems) or "as promised"))
            tally.failures += [f"{name}: {problem}" for problem in problems]
    return tally


def _one(
    disk: Path,
    whole: Path,
    begin: Callable[[Path], None],
    end: Callable[[Path], None],
    *,
    passing: bool,
) -> tuple[int, list[str]]:
    run = disk / "run"
    command = [sys.executable, "-m", "runner", *kills.setting("ncn", EPOCHS)]
    process = subprocess.Popen(
        [*command, f"hydra.run.dir={run}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and _lines(run) < 10:
        time.sleep(0.02)
    begin(disk)
    problems = []
    if passing:
        time.sleep(3)
        end(disk)
    out, errors = process.communicate()
    if not passing:
        end(disk)
    if "Traceback" in out + errors:
        problems.append("a traceback")
    if (process.returncode == 0) != passing:
        problems.append(f"exit code {process.returncode}")
    if "cannot be written" not in out:
        problems.append("it was not told")
    if not passing:
        if errors.count("\n") != 1 or "runner resume=" not in errors:
            problems.append(f"no one clear line: {errors}")
        if kills.run(f"resume={run}") != 0:
            problems.append("the resume failed")
    return process.returncode, problems + kills.differences(run, whole)


def _lines(run: Path) -> int:
    try:
        return (run / "metrics.jsonl").read_text().count("\n")
    except OSError:
        return 0
