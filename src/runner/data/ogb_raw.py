"""OGB's raw files and splits, read once, piece by piece, into tensors that can be memory-mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from runner.data.link_data import EvaluationSplit, link_data
from runner.errors import RunnerError
from runner.ops.csr import Graph, check_ids

Features = Literal["stored", "argmax", "node_id"]

_ROWS = 1 << 18  # of a raw file, read at a time


def convert(
    folder: Path | str,
    split: str,
    features: Features,
    target: Path | str,
    min_year: int | str | None = None,
) -> None:
    """Write everything that a run needs of the dataset in `folder`, its training graph included.

    Args:
        features, min_year: see :func:`runner.data.ogb.ogb_link`.
        target: a file for `torch.load(mmap=True)`.

    Raises:
        RunnerError: if the links have no years, or none is left.
        Exception: of many types, if the files are damaged or none of OGB's.
    """
    folder = Path(folder)
    nodes = _number(folder, "num-node-list")
    _check_edges(folder, nodes)
    given, num_categories = _features(folder, features, nodes)
    parts = {part: _split(folder, split, part, nodes) for part in ("train", "valid", "test")}
    train, valid, test = parts.values()
    if min_year is not None:
        train = _from_year(train, int(min_year))
    held_out = [EvaluationSplit(_links(part), _negatives(part)) for part in (valid, test)]
    data = link_data(
        num_nodes=nodes,
        features=given,
        num_categories=num_categories,
        train=_links(train),
        valid=held_out[0],
        test=held_out[1],
        directed="source_node" in train,
    )
    del parts, train, valid, test
    graph = Graph.from_edges(data.train, nodes)
    content = {
        "num_nodes": nodes,
        "features": data.features,
        "num_categories": data.num_categories,
        "train": data.train,
        "valid": (data.valid.positive, data.valid.negative),
        "test": (data.test.positive, data.test.negative),
        "directed": data.directed,
        "fingerprint": data.fingerprint,
        "graph_fingerprint": data.graph_fingerprint,
        "features_fingerprint": data.features_fingerprint,
        "graph": (graph.rowptr, graph.col),
    }
    torch.save(content, target)


def rows(file: Path, dtype: Any) -> Iterator[np.ndarray]:
    """The numbers of a raw file, (R, columns), some rows at a time."""
    import pandas

    with pandas.read_csv(file, compression="gzip", header=None, chunksize=_ROWS) as chunks:
        for chunk in chunks:
            yield chunk.to_numpy(dtype=dtype)


def _number(folder: Path, name: str) -> int:
    (only,) = np.concatenate(list(rows(folder / f"raw/{name}.csv.gz", np.int64))).ravel()
    return int(only)


def _check_edges(folder: Path, nodes: int) -> None:
    """Of the graph the split has all edges; its own file only has to be whole."""
    count = 0
    for block in rows(folder / "raw/edge.csv.gz", np.int64):
        check_ids(torch.from_numpy(block), nodes, "raw/edge.csv.gz")
        count += len(block)
    if count != _number(folder, "num-edge-list"):
        raise ValueError(f"raw/edge.csv.gz has {count} edges, not as many as num-edge-list says")


def _from_year(train: Mapping[str, Tensor], first: int) -> Mapping[str, Tensor]:
    """The links of training of this year on."""
    key = f"dataset.source.min_year={first}"
    if "year" not in train:
        raise RunnerError(f"{key}: this dataset's links have no years; leave it out")
    recent = train["year"].flatten() >= first
    if not recent.any():
        last = int(train["year"].max())
        raise RunnerError(f"{key}: no link of training is so young; give at most {last}")
    return {name: values[recent] for name, values in train.items()}


def _features(folder: Path, kind: Features, nodes: int) -> tuple[Tensor | None, int | None]:
    if kind == "node_id":
        return None, None
    take: Callable[[np.ndarray], np.ndarray] = lambda block: block.astype(np.float32)  # noqa: E731
    if kind == "argmax":
        take = lambda block: block.argmax(axis=1)  # noqa: E731
    features: Tensor | None = None
    begin = width = 0
    for block in rows(folder / "raw/node-feat.csv.gz", None):
        piece = torch.from_numpy(take(block))
        if features is None:
            width = block.shape[1]
            features = torch.empty((nodes, *piece.shape[1:]), dtype=piece.dtype)
        features[begin : begin + len(piece)] = piece
        begin += len(piece)
    if features is None or begin != nodes:
        raise ValueError(f"raw/node-feat.csv.gz has {begin} rows for {nodes} nodes")
    return features, width if kind == "argmax" else None


def _split(folder: Path, split: str, part: str, nodes: int) -> Mapping[str, Tensor]:
    with torch.serialization.safe_globals(allowed()):
        file = folder / f"split/{split}/{part}.pt"
        content = torch.load(file, map_location="cpu", weights_only=True)
    wanted = ("edge", "edge_neg", "source_node", "target_node", "target_node_neg")
    found = {name: torch.as_tensor(content[name]) for name in wanted if name in content}
    for name, ids in found.items():
        check_ids(ids, nodes, f"{name} of {part}.pt")
    if "year" in content:
        found["year"] = torch.as_tensor(content["year"])
    return found


def allowed() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What OGB's splits hold beside tensors; nothing else is loaded."""
    # NumPy 2 has moved the function; files from before name its old place.
    reconstruct: Any = np.empty(0).__reduce__()[0]
    dtypes = {type(np.dtype(kind)) for kind in ("i4", "i8", "f4", "f8", "u1", "?")}
    return [
        np.ndarray, np.dtype, *dtypes, reconstruct,
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
    ]  # fmt: skip


def _links(split: Mapping[str, Tensor]) -> Tensor:
    if "source_node" in split:
        return torch.stack([split["source_node"], split["target_node"]])
    return split["edge"].T.contiguous()


def _negatives(split: Mapping[str, Tensor]) -> Tensor:
    if "target_node_neg" in split:
        targets = split["target_node_neg"]
        return torch.stack([split["source_node"].unsqueeze(1).expand_as(targets), targets])
    return split["edge_neg"].T.contiguous()
