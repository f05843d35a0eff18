"""What every dataset is to the rest of the program."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
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
        graph_fingerprint: of the graph before its split: number of nodes, and all positive links
            in any order; the same for every split.
        features_fingerprint: SHA-256 of the features.
        notes: facts for the user, a line each.
        names: of the nodes, where they have names of their own.
        facts: how a file was read, for `meta.json`.
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
    graph_fingerprint: str
    features_fingerprint: str
    notes: tuple[str, ...]
    names: Sequence[str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
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
    names: Sequence[str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> LinkData:
    """Put a dataset together and take its fingerprint.

    Args:
        features: None gives every node an embedding of its own.
    """
    if features is None:
        features, num_categories = torch.arange(num_nodes), num_nodes
    tensors = (features, train, valid.positive, valid.negative, test.positive, test.negative)
    digest = hashlib.sha256(f"{num_nodes} {num_categories} {directed}".encode())
    digests = []
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
        digests.append(digest.hexdigest())
    links = _sum_of_links((train, valid.positive, test.positive), num_nodes, directed)
    graph = hashlib.sha256(f"{num_nodes} {directed} {links}".encode())
    return LinkData(
        num_nodes=num_nodes,
        features=features,
        num_categories=num_categories,
        train=train,
        valid=valid,
        test=test,
        directed=directed,
        fingerprint=digests[-1],
        graph_fingerprint=graph.hexdigest(),
        features_fingerprint=digests[0],
        notes=tuple(notes),
        names=names,
        facts=facts or {},
    )


def _sum_of_links(parts: Sequence[Tensor], num_nodes: int, directed: bool) -> tuple[int, int]:
    """Two 64-bit sums of the links' hashes: the same in any order, and for any cut into parts."""
    sums = [0, 0]
    for part in parts:
        pairs = part if directed else part.sort(dim=0).values
        code = (pairs[0] * num_nodes + pairs[1]).numpy().astype(np.uint64)
        for which, start in enumerate(_STARTS):
            sums[which] += int(_mixed(code + np.uint64(start)).sum(dtype=np.uint64))
    return sums[0] % 2**64, sums[1] % 2**64


# Odd constants of SplitMix64 (Steele et al. 2014).
_STARTS = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03)


def _mixed(code: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser, of each number."""
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return code ^ (code >> np.uint64(31))
