"""Reading of large edge tables, each in a process of its own, whose memory is then its alone."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.csv
import torch

from benchmarks.timing import in_turn
from runner.data.edges import edge_file
from runner.data.reading.raw_graph import TableKeys
from runner.data.reading.sheet import Sheet, find_separator, parse, sample_lines, take_comments
from runner.data.reading.text_file import read_text
from runner.data.whole_graph import LinkSplit, Split, WholeGraph
from runner.machine import hardware

LINKS_A_NODE = 10
_CPU = torch.device("cpu")


class _Read(Exception):
    """The graph is there; its split is none of reading."""


class _NoSplit(LinkSplit):
    def split(self, whole: WholeGraph) -> Split:
        raise _Read


def measure(*, kind: str, millions: float, threads: int | None, repeats: int, **_: Any) -> Any:
    """Seconds and memory of reading a table of links between numbers with gaps, or between names.

    Args:
        kind: of ids: `numbers` or `names`.
        millions: of rows.
        repeats: of parsing, in turn with the library alone; the rest once.
    """
    hardware.set_up(device="cpu", threads=threads, deterministic=True)
    pyarrow.set_cpu_count(torch.get_num_threads())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "links.csv"
        rows = _write(file, kind, int(millions * 1e6))
        idle = _held()
        hardware.reset_peak_memory(_CPU)
        first = _seconds_of_reading(file)
        peak = hardware.peak_memory_gib(_CPU)
        later = _seconds_of_reading(file)
        parsing = in_turn(
            {"library": lambda: pyarrow.csv.read_csv(file), "ours": lambda: _parse(file)}, repeats
        )
    return {
        **{name: times.seconds for name, times in parsing.items()},
        "first": first,
        "later": later,
        "peak_gib": peak - idle,
        "ids_gib": 2 * 8 * rows / 2**30,
    }


def _write(file: Path, kind: str, rows: int) -> int:
    generator = np.random.default_rng(0)
    nodes = max(2, rows // LINKS_A_NODE)
    ends = [
        (generator.random(rows) ** 2 * nodes).astype(np.int64),
        generator.integers(nodes, size=rows),
    ]
    if kind == "numbers":
        columns = [pyarrow.array(3 * end + 1) for end in ends]
    else:
        names = pyarrow.array([f"user_{number:x}" for number in range(nodes)])
        columns = [names.take(pyarrow.array(end)) for end in ends]
    pyarrow.csv.write_csv(pyarrow.table(columns, ["source", "target"]), file)
    return rows


def _held() -> float:
    """GiB that the process holds now, all modules of the reader imported."""
    from runner.data.reading import edge_table  # noqa: F401

    pyarrow.default_memory_pool().release_unused()
    hardware.reset_peak_memory(_CPU)
    return hardware.peak_memory_gib(_CPU)


def _seconds_of_reading(file: Path) -> float:
    began = time.perf_counter()
    with contextlib.suppress(_Read):
        edge_file(path=str(file), features=None, cache=str(file.parent / "cache"), split=_NoSplit())
    return time.perf_counter() - began


def _parse(file: Path) -> pyarrow.Table:
    """From the file to a table of cells, with what is looked at on the way."""
    sheet = Sheet(file, b"")
    sheet.text, _ = read_text(file)
    take_comments(sheet)
    find_separator(sheet, sample_lines(sheet.text), TableKeys())
    return parse(sheet, skip=1)
