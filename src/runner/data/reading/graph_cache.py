"""A user's graph, read once and kept in the cache: later runs and jobs of a sweep map it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow
import torch
from torch import Tensor

from runner.data.link_data import EvaluationSplit
from runner.data.times import Times
from runner.data.whole_graph import Split, WholeGraph
from runner.errors import RunnerError
from runner.ops.csr import Graph
from runner.storage.checksums import digest
from runner.storage.kept import UnwritableCache, make_once

log = logging.getLogger(__name__)

_CONTENT = "graph.pt"


class Names(Sequence[str]):
    """Names of nodes in two flat arrays, (N,) strings, which a file can map."""

    def __init__(self, texts: pyarrow.Array) -> None:
        self._texts = texts

    @classmethod
    def of(cls, names: Sequence[str] | np.ndarray) -> Names:
        return cls(pyarrow.array(names, pyarrow.large_string()))

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return self._texts[place].to_pylist()
        return self._texts[place].as_py()

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Where each name begins, (N + 1,) int64, and the bytes of all, (B,) uint8."""
        _, offsets, text = self._texts.buffers()
        begins = np.frombuffer(offsets, np.int64, len(self) + 1)
        content = np.frombuffer(text, np.uint8) if text is not None else np.empty(0, np.uint8)
        return torch.tensor(begins), torch.tensor(content)

    @classmethod
    def from_tensors(cls, begins: Tensor, content: Tensor) -> Names:
        buffers = [pyarrow.py_buffer(x.numpy()) for x in (begins, content)]
        return cls(pyarrow.LargeStringArray.from_buffers(len(begins) - 1, *buffers))


@dataclass(frozen=True, eq=False)
class UserGraph:
    """A user's graph, numbered, with what was decided when it was read.

    Attributes:
        features: (N, F) float32; None where there are none.
        standardised: columns of the features of mean 0 and deviation 1, NaN where one is missing.
        names: of the nodes; None where they are their numbers.
        notes, facts: what was decided, as lines and for `meta.json`.
    """

    whole: WholeGraph
    features: Tensor | None
    names: Names | None
    notes: tuple[str, ...]
    facts: Mapping[str, Any]
    standardised: tuple[int, ...] = ()


def read_once(
    folder: str | None,
    inputs: Sequence[Path],
    settings: Mapping[str, Any],
    read: Callable[[], UserGraph],
) -> UserGraph:
    """The graph from the cache if it was made of these inputs, with these settings; else read.

    Args:
        folder: the cache; None or one that cannot be written reads anew.
        inputs: files, of which a change in content is noticed.
        settings: the keys that decide how they are read.

    Raises:
        RunnerError: where `read` raises it.
    """
    if folder is None:
        return read()
    asked = json.dumps([*map(str, map(Path.resolve, inputs)), settings], sort_keys=True)
    place = hashlib.sha256(asked.encode()).hexdigest()[:16]
    kept = Path(folder).expanduser() / "graphs" / f"{inputs[0].name}-{place}"
    made_of = f"{digest(*inputs)} {_digest_of_reader()}"
    made: list[UserGraph] = []

    def make(working: Path) -> None:
        made.append(read())
        _write(working, made[0])
        made.clear()  # its memory goes back before the file is mapped

    try:
        return make_once(kept, made_of=made_of, make=make, read=_load, what=str(inputs[0]))
    except (UnwritableCache, OSError, RuntimeError) as error:  # torch's for a full disk
        if isinstance(error, RunnerError) and not isinstance(error, UnwritableCache):
            raise
        log.warning("run.cache=%s: the graph is not kept in the cache (%s)", folder, error)
        return read()


@cache
def _digest_of_reader() -> str:
    """Digest of the code that reads: another version may read the same file otherwise."""
    total = hashlib.sha256()
    for package in ("runner.data", "runner.data.reading", "runner.ops", "runner.ops.kernels"):
        for module in sorted(files(package).iterdir(), key=lambda file: file.name):
            if module.name.endswith(".py"):
                total.update(module.read_bytes())
    return total.hexdigest()


def _write(working: Path, graph: UserGraph) -> None:
    whole = graph.whole
    content = {
        "graph": (whole.graph.rowptr, whole.graph.col),
        "ordered": whole.ordered,
        "num_sources": whole.num_sources,
        "rows": whole.rows,
        "times": None if whole.times is None else tuple(vars(whole.times).values()),
        "untimed": whole.untimed,
        "parts": None if whole.parts is None else _flat(whole.parts),
        "features": graph.features,
        "names": None if graph.names is None else graph.names.tensors(),
        "told": json.dumps([graph.notes, graph.facts, graph.standardised]),
    }
    torch.save(content, working / _CONTENT)


def _load(kept: Path) -> UserGraph:
    content = torch.load(kept / _CONTENT, mmap=True, weights_only=True)
    notes, facts, standardised = json.loads(content["told"])
    rowptr, col = content["graph"]
    names, times, parts = content["names"], content["times"], content["parts"]
    whole = WholeGraph(
        Graph(rowptr, col, symmetric=True),
        ordered=content["ordered"],
        num_sources=content["num_sources"],
        rows=content["rows"],
        times=None if times is None else Times(*times),
        untimed=content["untimed"],
        parts=None if parts is None else _split(parts),
    )
    found = None if names is None else Names.from_tensors(*names)
    return UserGraph(whole, content["features"], found, tuple(notes), facts, tuple(standardised))


def _flat(split: Split) -> dict[str, Any]:
    flat = dict(vars(split))
    for part in ("valid", "test"):
        flat[part] = (flat[part].positive, flat[part].negative)
    return flat


def _split(flat: Mapping[str, Any]) -> Split:
    parts = {part: EvaluationSplit(*flat[part]) for part in ("valid", "test")}
    return Split(**{**flat, **parts})
