"""Embeddings of several runs beside each other, though each has axes of its own.

Relative representations of Moschella et al. (ICLR 2023, arXiv 2209.15430): a node by its cosines to
some nodes, the anchors, which do not change when a run's embeddings are rotated or scaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import pandas

from runner.comparison.groups import Group
from runner.comparison.run import Run
from runner.errors import RunnerError
from runner.storage import kept_embeddings
from runner.storage.kept_embeddings import Facts
from runner.storage.seal import Damaged

_MOST_NODES = 5_000  # that are compared; of a larger graph a sample
_NEAREST = 10
_BLOCK = 1_024
_SEED = 0


@dataclass(frozen=True)
class Representations:
    """The runs of a dataset that have kept their embeddings, each with each.

    Attributes:
        nodes, anchors: how many are compared, and with how many.
        runs: names, in the order of the matrices.
        cosine: (R, R), the mean over nodes of the cosine of their two relative representations.
        chance: the same of two different nodes.
        neighbours: the mean share of a node's nearest ones in one run that are so in the other.
        rows: `model`, `other`, `pairs` of runs, and the means over these.
    """

    dataset: str
    nodes: int
    anchors: int
    runs: Sequence[str]
    cosine: np.ndarray
    chance: np.ndarray
    neighbours: np.ndarray
    rows: pandas.DataFrame


def representations(groups: Sequence[Group], *, anchors: int) -> list[Representations]:
    """One for each dataset of which two runs have kept their embeddings.

    Args:
        anchors: number of nodes, drawn with a fixed seed; all of a smaller graph.

    Raises:
        RunnerError: if runs of a dataset embed other nodes, or no two are of the same.
    """
    kept: dict[str, list[_Kept]] = {}
    for group in groups:
        for run in group.runs:
            read = _read(run)
            if read is not None:
                kept.setdefault(group.dataset, []).append(_Kept(group.label, run, *read))
    found = [_compared(dataset, runs, anchors) for dataset, runs in kept.items() if len(runs) > 1]
    if not found:
        having = [f"{one.run.name} ({name})" for name, runs in kept.items() for one in runs]
        have = f"only {', '.join(having)} has them" if having else "none has them"
        raise RunnerError(
            "--representations: it takes the embeddings of two finished runs on one graph, and "
            f"{have}; start runs with run.keep_embeddings=true"
        )
    return found


def relative(embeddings: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Cosines to the anchors.

    Shapes:
        embeddings: (N, H). anchors: (m,) int64. Returns: (N, m).
    """
    unit = _unit(embeddings)
    return unit @ unit[anchors].T


@dataclass(frozen=True, eq=False)
class _Kept:
    label: str
    run: Run
    facts: Facts
    embeddings: np.ndarray


def _read(run: Run) -> tuple[Facts, np.ndarray] | None:
    """What a run has kept; None of one without, or of the weights of another epoch."""
    if run.folder is None or run.result is None:
        return None
    try:
        facts, embeddings = kept_embeddings.read(run.folder)
    except FileNotFoundError:
        return None
    except (OSError, Damaged) as error:
        raise RunnerError(
            f"--representations: {run.folder / kept_embeddings.FILE} cannot be read ({error}); "
            "remove it, or run that run anew"
        ) from None
    return (facts, embeddings) if facts.epoch == run.result.best_epoch else None


def _compared(dataset: str, kept: Sequence[_Kept], anchors: int) -> Representations:
    first = kept[0]
    for other in kept[1:]:
        if _nodes_of(first) != _nodes_of(other):
            raise RunnerError(
                f"--representations: {first.run.name} and {other.run.name} embed the nodes of "
                "different graphs, which are not the same nodes; compare them in two commands"
            )
    draw = np.random.default_rng(_SEED)
    chosen = draw.permutation(len(first.embeddings))[: max(_MOST_NODES, anchors)]
    at = np.arange(min(anchors, len(chosen)))
    rows = [_unit(relative(one.embeddings[chosen], at)) for one in kept]
    near = [_nearest(one.embeddings[chosen]) for one in kept]
    count = len(kept)
    cosine, chance, neighbours = np.empty((3, count, count))
    for i, j in combinations_with_replacement(range(count), 2):
        # Moved by one in the order drawn, no node meets itself.
        values = (rows[i] * rows[j]).sum(1), (rows[i] * np.roll(rows[j], 1, axis=0)).sum(1)
        shared = (near[i][:, :, None] == near[j][:, None, :]).any(2) & (near[i] >= 0)
        for matrix, of in zip((cosine, chance, neighbours), (*values, shared), strict=True):
            matrix[i, j] = matrix[j, i] = of.mean()
    labels = [one.label for one in kept]
    return Representations(
        dataset=dataset,
        nodes=len(chosen),
        anchors=len(at),
        runs=[f"{one.label}, seed {one.run.seed}" for one in kept],
        cosine=cosine,
        chance=chance,
        neighbours=neighbours,
        rows=_rows(labels, {"cosine": cosine, "by chance": chance, "neighbours": neighbours}),
    )


def _nodes_of(one: _Kept) -> tuple[str, str, int]:
    return one.facts.graph, one.facts.names, len(one.embeddings)


def _rows(labels: Sequence[str], matrices: dict[str, np.ndarray]) -> pandas.DataFrame:
    """Means over the pairs of runs within a row of the comparison, and across two."""
    of = np.array(labels)
    different = np.triu(np.ones((len(of), len(of)), dtype=bool), 1)
    rows = []
    for one, other in combinations_with_replacement(dict.fromkeys(labels), 2):
        pairs = different & (
            (of[:, None] == one) & (of == other) | (of[:, None] == other) & (of == one)
        )
        if pairs.any():
            means = {name: matrix[pairs].mean() for name, matrix in matrices.items()}
            rows.append({"model": one, "other": other, "pairs": int(pairs.sum()), **means})
    return pandas.DataFrame(rows)


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; zeros stay."""
    rows = rows.astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length == 0, 1, length)


def _nearest(embeddings: np.ndarray) -> np.ndarray:
    """The nodes with the highest cosines to each, (N, k), itself left out; -1 of zeros."""
    unit = _unit(embeddings)
    nearest = []
    for begin in range(0, len(unit), _BLOCK):
        cosines = unit[begin : begin + _BLOCK] @ unit.T
        own = np.arange(len(cosines))
        cosines[own, begin + own] = -np.inf
        k = min(_NEAREST, len(unit) - 1)
        nearest.append(np.argpartition(-cosines, k - 1, axis=1)[:, :k])
    return np.where(unit.any(1, keepdims=True), np.concatenate(nearest), -1)


def readable(found: Representations) -> pandas.DataFrame:
    """The table as text."""
    words = found.rows.copy()
    for name in ("cosine", "by chance", "neighbours"):
        words[name] = words[name].map("{:.3f}".format)
    return words


def heading(found: Representations) -> str:
    """What the table is of."""
    return (
        f"representations of {found.dataset}: {len(found.runs)} runs, {found.nodes} nodes by "
        f"{found.anchors} anchors, {_NEAREST} nearest neighbours"
    )
