"""Pairs of nodes as people have them: an array, a DataFrame, a list of tuples."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runner.data.reading import column_names
from runner.errors import RunnerError
from runner.prediction.node_labels import NodeLabels

_FORMS = "give an array of shape (P, 2), a DataFrame with two columns, or a list of pairs"


def read_pairs(pairs: Any, labels: NodeLabels) -> Tensor:
    """Pairs of labels as numbers of nodes, (2, P) int64.

    Args:
        pairs: (P, 2) array or tensor, a list of pairs, or a DataFrame with columns source and
            target (or others whose names say so), or with two columns.

    Raises:
        RunnerError: if the form is another, or a label is unknown.
    """
    source, target = two_columns(pairs)
    return torch.stack([labels.require(source, "source"), labels.require(target, "target")])


def two_columns(pairs: Any) -> tuple[Any, Any]:
    """The labels of both ends of pairs in any form of :func:`read_pairs`.

    Raises:
        RunnerError: if the form is another.
    """
    if hasattr(pairs, "columns"):
        names = [str(name) for name in pairs.columns]
        places = column_names.ends(names)
        if places is None and len(names) != 2:
            raise RunnerError(
                f"pairs: which of the columns {', '.join(names)} are the ends? Name them source "
                "and target, or give two columns"
            )
        first, second = places or (0, 1)
        return pairs.iloc[:, first].to_numpy(), pairs.iloc[:, second].to_numpy()
    if isinstance(pairs, Tensor):
        pairs = pairs.numpy()
    if isinstance(pairs, np.ndarray):
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            hint = "transpose it (.T)" if pairs.ndim == 2 and len(pairs) == 2 else _FORMS
            raise RunnerError(f"pairs: an array of shape {pairs.shape}; {hint}")
        return pairs[:, 0], pairs[:, 1]
    rows = list(pairs) if isinstance(pairs, Iterable) else [pairs]
    if any(isinstance(row, str) or not isinstance(row, Sized) or len(row) != 2 for row in rows):
        raise RunnerError(f"pairs: not every row has two nodes; {_FORMS}")
    return [row[0] for row in rows], [row[1] for row in rows]
