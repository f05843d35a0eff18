"""Train, validation and test in files of their own: one graph, and whose rows are whose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from runner.data.reading.distinct_ids import distinct, places
from runner.data.reading.raw_graph import RawGraph
from runner.data.reading.user_file import existing_file
from runner.errors import RunnerError

LINKS = ("train", "valid", "test")
NEGATIVES = ("valid_negatives", "test_negatives")
_FROM_1 = (".mtx", ".mat")
_NUMBERED = "numbered "  # of the nodes of one file, in its note


def part_files(file: Path, **given: str | None) -> dict[str, Path]:
    """The files of the parts beside the training links, by the key below `dataset`.

    Args:
        file: of the training links.
        given: None where there is none.

    Raises:
        RunnerError: if there is no such file, a part is missing, or stands twice.
    """
    files = {part: existing_file(f"dataset.{part}", path) for part, path in given.items() if path}
    missing = next((part for part in ("valid", "test") if part not in files), None)
    if files and missing is not None:
        raise RunnerError(f"dataset.{missing}: a file is needed beside dataset.{next(iter(files))}")
    seen = {file.resolve(): "path"}
    for part, path in files.items():
        twin = seen.setdefault(path.resolve(), part)
        if twin != part:
            raise RunnerError(f"dataset.{part}={path}: it is the file of dataset.{twin} too")
    return files


def read_parts(read: Callable[[Path], RawGraph], file: Path, files: Mapping[str, Path]) -> RawGraph:
    """The graph of one file, or of a file for each part, with one numbering of the nodes.

    Args:
        read: the reader of one file.
        file: of the graph, or of its training links.
        files: of the other parts, none for a graph that is not split.

    Raises:
        RunnerError: if a file cannot be read, or the files do not fit together.
    """
    raw = read(file)
    if not files:
        return raw
    if raw.parts:
        raise RunnerError(
            f"dataset.path={file}: it has all parts of a split; leave dataset.valid and "
            "dataset.test out"
        )
    raws = {"train": raw}
    for part, path in files.items():
        try:
            raws[part] = read(path)
        except RunnerError as error:
            raise RunnerError(str(error).replace("dataset.path=", f"dataset.{part}=")) from None
    return _unite(raws, {"train": file, **files})


def _unite(raws: Mapping[str, RawGraph], files: Mapping[str, Path]) -> RawGraph:
    raws = {part: raws[part] for part in (*LINKS, *NEGATIVES) if part in raws}
    first, *others = raws
    for part in others:
        _refuse_other_columns(raws[part], raws[first], f"dataset.{part}={files[part]}")
    united = _numbered(raws, files)
    told = {
        part: [n for n in raw.notes if not n.startswith(_NUMBERED)] for part, raw in raws.items()
    }
    more = [f"{part}: {n}" for part in others for n in told[part] if n not in told[first]]
    return replace(
        united,
        features=raws[first].features,
        notes=(*told[first], *more, *united.notes),
        facts={**raws[first].facts, **{part: dict(raws[part].facts) for part in others}},
        parts={part: raw.edges.shape[1] for part, raw in raws.items()},
    )


def _refuse_other_columns(raw: RawGraph, first: RawGraph, file: str) -> None:
    """Refuse ends in columns of other numbers than in the first file."""
    for end in ("source", "target"):
        own, expected = ((graph.facts.get("columns") or {}).get(end) for graph in (raw, first))
        if isinstance(own, int) and isinstance(expected, int) and own != expected:
            raise RunnerError(
                f"{file}: its column number {own} seems to be the {end}, in dataset.path it is "
                f"number {expected}; say dataset.columns.source=… dataset.columns.target=…"
            )


def _numbered(raws: Mapping[str, RawGraph], files: Mapping[str, Path]) -> RawGraph:
    """All edges, in the order of the parts, in one numbering."""
    plain = [part for part, raw in raws.items() if raw.names is None and raw.ids is None]
    named = [part for part, raw in raws.items() if raw.names is not None]
    if plain and named:
        raise RunnerError(
            f"dataset.{named[0] if named[0] != 'train' else plain[0]}: the nodes in "
            f"{files[plain[0]]} have numbers, those in {files[named[0]]} have names; give files "
            "of one kind"
        )
    if named:
        return _named(raws)
    edges = torch.cat([raw.edges for raw in raws.values()], dim=1)
    if not plain:
        return RawGraph(edges, ids=distinct(edges.numpy()))
    sizes = {(raws[part].num_nodes, raws[part].num_sources) for part in plain} - {(None, None)}
    if len(sizes) > 1:
        counts = " or ".join(sorted(str(size) for size, _ in sizes))
        raise RunnerError(
            f"dataset.path={files['train']}: the parts say that there are {counts} nodes, or have "
            "other numbers of rows and columns; are they of one graph?"
        )
    nodes, sources = next(iter(sizes), (None, None))
    if sources is not None and len(plain) < len(raws):
        raise RunnerError(
            f"dataset.path={files['train']}: a matrix that is not square numbers its columns anew, "
            "a table does not; give all parts as matrices, or as tables"
        )
    from_1 = [part for part in plain if files[part].suffix.lower() in _FROM_1]
    if from_1 and len(plain) < len(raws):
        raise RunnerError(
            f"dataset.{'path' if from_1[0] == 'train' else from_1[0]}={files[from_1[0]]}: such a "
            "file counts nodes from 1, a table of numbers may count from 0; give all parts as "
            "matrices, or as tables"
        )
    return RawGraph(edges, num_nodes=nodes, num_sources=sources)


def _named(raws: Mapping[str, RawGraph]) -> RawGraph:
    """Names in the order of their first appearance; whole numbers are names beside others."""
    numbers: dict[str, int] = {}
    edges = []
    for raw in raws.values():
        place, own = raw.edges, raw.names
        if own is None:
            assert raw.ids is not None
            place, own = torch.from_numpy(places(raw.ids, place.numpy())), raw.ids.astype(str)
        united = [numbers.setdefault(name, len(numbers)) for name in own.tolist()]
        edges.append(torch.tensor(united, dtype=torch.int64)[place])
    note = f"{_NUMBERED}{len(numbers)} names in the order of their first appearance"
    names = np.array(list(numbers), dtype=object)
    return RawGraph(torch.cat(edges, dim=1), len(names), names=names, notes=(note,))
