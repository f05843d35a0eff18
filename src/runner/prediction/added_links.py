"""A trained run that sees further links, and nodes that came after training."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from runner.data.reading.raw_graph import TableKeys
from runner.data.reading.read_graph import read_raw
from runner.errors import RunnerError
from runner.models.node_embedding import node_embeddings
from runner.ops.csr import Graph
from runner.ops.sparse_rows import compact
from runner.prediction.node_labels import SIDES, NodeLabels, texts_of
from runner.prediction.pairs import two_columns
from runner.prediction.trained import Trained

if TYPE_CHECKING:
    from pandas import DataFrame

log = logging.getLogger(__name__)


def read_links(file: Path, *, bipartite: bool = False) -> np.ndarray:
    """The links of a file of any kind that a dataset may have, (M, 2) labels; says what it took.

    Args:
        bipartite: sources and targets are two kinds of nodes, as in the run's graph.

    Raises:
        RunnerError: if it cannot be read.
    """
    if not file.is_file():
        raise RunnerError(f"{file}: there is no such file of links")
    try:
        raw = read_raw(file, None, TableKeys(bipartite=bipartite))
    except RunnerError as error:
        raise RunnerError(str(error).replace(f"dataset.path={file}", str(file))) from None
    if raw.num_sources is not None:
        raise RunnerError(
            f"{file}: a matrix of two kinds of nodes says no names; give a table of links"
        )
    for note in raw.notes:
        log.warning("%s: %s", file, note)
    edges = raw.edges.numpy().T
    return edges if raw.names is None else np.asarray(raw.names)[edges]


def add_links(
    trained: Trained,
    labels: NodeLabels,
    links: Any,
    features: DataFrame | Mapping[Any, Any] | None = None,
) -> Trained:
    """The same weights on a larger graph; nothing is trained.

    Args:
        labels: of the nodes that are there.
        links: pairs of labels, as :func:`runner.prediction.pairs.read_pairs` takes them; a label
            that no node has is a new node.
        features: of the new nodes, a row for each label, as the encoder has them of the others.

    Raises:
        RunnerError: if a new node has no features or the model cannot use it, or a link is of a
            node with itself.
    """
    columns = [texts_of(column) for column in two_columns(links)]
    ends = [labels.find(column, side) for column, side in zip(columns, SIDES, strict=True)]
    new = _new_labels(columns, ends)
    data = trained.data
    if new:
        _refuse_new_nodes(trained, new)
        trained = _with_nodes(trained, labels, new, features)
        number: dict[str | None, int] = {
            label: data.num_nodes + place for place, label in enumerate(new)
        }
        for column, end in zip(columns, ends, strict=True):
            for row in np.flatnonzero(end < 0).tolist():
                end[row] = number[column[row]]
    added = torch.from_numpy(np.stack(ends))
    loops = (added[0] == added[1]).nonzero()
    if len(loops):
        raise RunnerError(f"links: {columns[0][int(loops[0])]} is linked with itself; leave it out")
    count = trained.data.num_nodes
    grown = {id(graph): _grown(graph, added, count) for graph in trained.graphs}
    train, valid, test = (grown[id(graph)] for graph in trained.graphs)
    larger = replace(trained.data, train=torch.cat([data.train, added], dim=1), train_graph=None)
    return replace(trained, data=larger, graphs=(train, valid, test))


def _new_labels(columns: Sequence[Sequence[str | None]], ends: list[np.ndarray]) -> list[str]:
    """The labels that no node has, in the order of the rows."""
    found: dict[str, None] = {}
    for row in np.flatnonzero((ends[0] < 0) | (ends[1] < 0)).tolist():
        for column, end in zip(columns, ends, strict=True):
            if end[row] < 0:
                label = column[row]
                if not label:
                    raise RunnerError(f"links: row {row + 1} has an empty end; fill it in")
                found[label] = None
    return list(found)


def _refuse_new_nodes(trained: Trained, new: list[str]) -> None:
    data, model = trained.data, trained.model
    what = f"links: {new[0]} is no node of this run"
    if data.num_sources is not None:
        raise RunnerError(
            f"{what}, and a bipartite graph takes no new ones; train on the larger graph"
        )
    own = data.num_categories == data.num_nodes
    if node_embeddings(model) and own and model.encoder.needs_features:
        raise RunnerError(
            f"{what}, and its model has learned an embedding for each node; train on the larger "
            "graph, or a model on features"
        )
    if trained.config.train.init_mode == "embeddings" and trained.config.train.init_from:
        raise RunnerError(
            f"{what}, and its features are the embeddings of another run; train on the larger graph"
        )


def _with_nodes(
    trained: Trained,
    labels: NodeLabels,
    new: list[str],
    features: DataFrame | Mapping[Any, Any] | None,
) -> Trained:
    data, model = trained.data, trained.model
    names = [*map(str, labels), *new]
    if not model.encoder.needs_features:
        rows = torch.arange(len(names))
    else:
        rows = torch.cat([data.features, _rows_of(new, features, data.features)])
    larger = replace(data, num_nodes=len(names), names=names, features=rows)
    return replace(trained, data=larger, features=compact(rows))


def _rows_of(
    new: list[str], features: DataFrame | Mapping[Any, Any] | None, like: Tensor
) -> Tensor:
    """The features of new nodes, (n, F) or (n,) as those of the others are."""
    given: dict[str | None, Any] = {}
    if features is not None:
        items = features.iterrows() if hasattr(features, "iterrows") else features.items()
        labels, values = zip(*items, strict=True) if len(features) else ((), ())
        texts = texts_of(list(labels))
        twice = [label for label, count in Counter(texts).items() if count > 1]
        if twice:
            raise RunnerError(f"features: {twice[0]} has several rows; which is its own?")
        given = dict(zip(texts, map(np.asarray, values), strict=True))
    missing = [label for label in new if label not in given]
    width = like.shape[-1] if like.dim() == 2 else 1
    if missing:
        raise RunnerError(
            f"features: {missing[0]} has none ({len(missing)} of {len(new)} new nodes); give each "
            f"a row of {width} numbers, as the encoder has them of the others"
        )
    rows = []
    for label in new:
        try:
            row = torch.as_tensor(given[label].astype(np.float64)).reshape(-1)
        except (ValueError, TypeError):
            raise RunnerError(f"features: those of {label} are no numbers") from None
        if row.numel() != width or not bool(row.isfinite().all()):
            raise RunnerError(
                f"features: {label} has {row.numel()} values, the encoder takes {width} finite ones"
            )
        rows.append(row)
    return torch.stack(rows).to(like.dtype).reshape(-1, *like.shape[1:])


def _grown(graph: Graph, links: Tensor, num_nodes: int) -> Graph:
    old = torch.stack([graph.row, graph.col.long()])
    return Graph.from_edges(torch.cat([old, links], dim=1), num_nodes)
