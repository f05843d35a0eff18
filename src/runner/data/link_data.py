"""What every dataset is to the rest of the program."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from runner.ops.csr import Graph


@dataclass(frozen=True, eq=False)
class EvaluationSplit:
    """The scored links of validation or test.

    Shapes:
        - ``positive``: (2, P) int64
        - ``negative``: (2, K) int64 shared by all positives, or (2, P, K), K for each positive
    """

    positive: Tensor
    negative: Tensor


@dataclass(frozen=True, eq=False)
class LinkData:
    """A graph with its link-prediction split.

    Shapes:
        - ``features``: (N, F) float32, or (N,) int64 category ids for a learned embedding
        - ``train``: (2, M) int64, target links as rows; duplicates allowed

    Attributes:
        num_categories: number of category ids, None with real features.
        directed: target links are ordered pairs (source, target).
        fingerprint: SHA-256 over everything above.
        notes: facts for the user, a line each.
        train_graph: of the links in ``train``, where it was kept with them; None to build it.
    """

    num_nodes: int
    features: Tensor
    num_categories: int | None
    train: Tensor
    valid: EvaluationSplit
    test: EvaluationSplit
    directed: bool
    fingerprint: str
    notes: tuple[str, ...]
    train_graph: Graph | None = None


def link_data(
    *,
    num_nodes: int,
    features: Tensor | None,
    train: Tensor,
    valid: EvaluationSplit,
    test: EvaluationSplit,
    num_categories: int | None = None,
    directed: bool = False,
    notes: Sequence[str] = (),
) -> LinkData:
    """Put a dataset together and take its fingerprint.

    Args:
        features: None gives every node an embedding of its own.
    """
    if features is None:
        features, num_categories = torch.arange(num_nodes), num_nodes
    tensors = (features, train, valid.positive, valid.negative, test.positive, test.negative)
    digest = hashlib.sha256(f"{num_nodes} {num_categories} {directed}".encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return LinkData(
        num_nodes=num_nodes,
        features=features,
        num_categories=num_categories,
        train=train,
        valid=valid,
        test=test,
        directed=directed,
        fingerprint=digest.hexdigest(),
        notes=tuple(notes),
    )
