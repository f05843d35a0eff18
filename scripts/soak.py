"""Inject faults into `runner` on purpose, for minutes, and tell what came of it.

    python scripts/soak.py                                # everything: about half an hour
    python scripts/soak.py kills --kills 50               # some parts
    python scripts/soak.py --write docs/reliability.md    # put the tables at the file's end

Works in a temporary folder, with real processes. The exit code is 1 if anything is not as promised.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from soaks import bad_input, concurrency, damage, disk, kills, own_tables, sweeps, tracker
from soaks.faulty import POINTS
from tabulate import tabulate

Part = Callable[[argparse.Namespace, Path], tuple[str, list[str]]]


def _kills(arguments: argparse.Namespace, folder: Path) -> tuple[str, list[str]]:
    points = kills.schedule(arguments.kills, arguments.seed)
    tally = kills.soak(folder, points, seed=arguments.seed)
    rows = [(point, tally.kills[point]) for point in [*POINTS, kills.ANY_MOMENT]]
    rows.append(("all", sum(tally.kills.values())))
    text = (
        f"{tally.runs} runs of ncn and ncnc were killed {sum(tally.kills.values())} times and "
        f"resumed each time. {tally.runs - len(tally.broken)} of them ended with the summary, the "
        "lines of metrics.jsonl and the weights of the undisturbed run, bit by bit.\n\n"
    )
    return text + _table(rows, ["SIGKILL at", "times"]), tally.failures


def _damage(arguments: argparse.Namespace, folder: Path) -> tuple[str, list[str]]:
    tally = damage.soak(folder, times=arguments.damages, seed=arguments.seed)
    rows = [
        (file, *(f"{tally.survived[file, kind]} of {arguments.damages}" for kind in damage.KINDS))
        for file in damage.FILES
    ]
    text = (
        "A killed run of ncnc, resumed after damage at a random place: the file named, and the end "
        "that of the undisturbed run, bit by bit.\n\n"
    )
    return text + _table(rows, ["file", *damage.KINDS]), tally.failures


def _disk(arguments: argparse.Namespace, folder: Path) -> tuple[str, list[str]]:
    try:
        tally = disk.soak(folder)
    except PermissionError as error:
        return f"Left out: {error}.\n", []
    text = (
        "The disk of a run of ncn after its tenth epoch. Where it comes back the run ends as the "
        "undisturbed one; where it does not, with code 1 and one line, and so does its resume "
        "afterwards.\n\n"
    )
    return text + _table(tally.rows, ["disk", "exit code", "outcome"]), tally.failures


def _tracker(arguments: argparse.Namespace, folder: Path) -> tuple[str, list[str]]:
    outcomes = tracker.soak(epochs=30, repeats=arguments.repeats)
    rows = [tracker.row(name, runs) for name, runs in outcomes.items()]
    text = (
        f"{arguments.repeats} runs of 30 epochs of ncn beside each server, in turn, with 5 seconds "
        "for either timeout; `later`: the run began well. Medians; every run that is listed as "
        "told got the command that uploads what is recorded.\n\n"
    )
    headers = ["server", "ms an epoch", "whole run, s (min to max)", "told how to upload"]
    return text + _table(rows, headers), tracker.failures(outcomes, 30)


def _sweeps(arguments: argparse.Namespace, folder: Path) -> tuple[str, list[str]]:
    rows, failures = [], []
    for kind in sweeps.KINDS:
        (folder / kind).mkdir()
        tally = sweeps.soak(folder / kind, kind, kills=arguments.sweep_kills, seed=arguments.seed)
        rows.append((kind, tally.kills, tally.jobs, tally.attempts, len(tally.failures)))
        failures += tally.failures
    text = (
        "Sweeps of gae, all processes killed at any moment and the command repeated, up to five "
        "times each: no finished job is touched, and in the end parameters, states, metrics and "
        "weights of every job are those of the undisturbed sweep, bit by bit.\n\n"
    )
    headers = ["sweep", "SIGKILLs", "jobs", "attempts", "failures"]
    return text + _table(rows, headers), failures


def _inputs(arguments: argparse.Namespace, folder: Path) -> tuple[str, list[str]]:
    tally = bad_input.soak(
        folder, examples=arguments.examples, commands=arguments.commands, seed=arguments.seed
    )
    text = (
        f"{tally.total} generated bad inputs, {tally.commands} of them as real commands: exit code "
        "1, one message, no traceback, nothing half-written, no process left, but for "
        f"{len(tally.failures)} of them. {tally.good} more turned out to be no bad ones.\n\n"
    )
    return text + _table(sorted(tally.refused.items()), ["kind", "inputs"]), tally.failures


def _own_tables(arguments: argparse.Namespace, folder: Path) -> tuple[str, list[str]]:
    tally = own_tables.soak(folder, files=arguments.files, seed=arguments.seed)
    text = (
        f"{arguments.files} generated files of graphs, sound and damaged: read as the graph that "
        f"they hold, or refused in one line, but for {len(tally.failures)}. `decided`: the "
        "conventions say how these are read, and a refusal is a fault.\n\n"
    )
    return text + _table(tally.rows(), ["kind", "decided", *own_tables.OUTCOMES]), tally.failures


def _concurrency(arguments: argparse.Namespace, folder: Path) -> tuple[str, list[str]]:
    if not Path(os.environ.get("RUNNER_DATA", ""), "ogb", "ogbl_ddi").is_dir():
        return "Left out: RUNNER_DATA names no folder with ogbl-ddi.\n", []
    tally = concurrency.soak(folder)
    text = (
        f"{tally.runs} runs of model=cn on ogbl-ddi, started at once with an empty cache: "
        f"{tally.done} done, in {tally.folders} folders, and {tally.builds} of them made the cache."
    )
    return text + "\n", tally.failures


PARTS: dict[str, tuple[str, Part]] = {
    "kills": ("Killed anywhere", _kills),
    "damage": ("Damaged files", _damage),
    "disk": ("Disks", _disk),
    "tracker": ("W&B servers that fail", _tracker),
    "sweeps": ("Sweeps killed anywhere", _sweeps),
    "inputs": ("Bad input", _inputs),
    "own_tables": ("Graphs as people have them", _own_tables),
    "concurrency": ("Started at once", _concurrency),
}


def _table(rows: Sequence[tuple[object, ...]], headers: list[str]) -> str:
    return tabulate(rows, headers, tablefmt="pipe") + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all, if none is given")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--sweep-kills", type=int, default=15, help="of the sweeps of each kind")
    parser.add_argument("--damages", type=int, default=3, help="of each file, in each way")
    parser.add_argument("--examples", type=int, default=2000, help="bad inputs in this process")
    parser.add_argument("--files", type=int, default=2000, help="of graphs, to be read")
    parser.add_argument("--commands", type=int, default=50, help="bad inputs as commands")
    parser.add_argument("--repeats", type=int, default=3, help="runs beside each server")
    parser.add_argument("--seed", type=int, default=0, help="of the faults' places")
    parser.add_argument("--write", type=Path, help="a Markdown file that gets the tables")
    arguments = parser.parse_args()
    failures = []
    sections = []
    for name in arguments.parts or PARTS:
        title, part = PARTS[name]
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            text, failed = part(arguments, Path(folder))
        failures += failed
        took = f"`scripts/soak.py {name}`, {time.monotonic() - began:.0f} s."
        sections.append(f"### {title}\n\n{text}\n{took}\n")
        print(sections[-1], flush=True)
    for failure in failures:
        print(f"FAILED: {failure}")
    if arguments.write:
        _write(arguments.write, "\n".join(sections))
    sys.exit(1 if failures else 0)


_MARK = "<!-- scripts/soak.py -->"


def _write(path: Path, text: str) -> None:
    before = path.read_text().partition(_MARK)[0]
    path.write_text(f"{before}{_MARK}\n\n{text}")


if __name__ == "__main__":
    main()
