"""Pairs of nodes whose embeddings point in similar directions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_EXACT = 2**32  # pairs compared one by one; beyond, an index finds most of the nearest
_CELLS = 2**24  # of the products of one block


def nearest_pairs(
    embeddings: Tensor, nodes: Tensor, partners: Tensor, *, count: int
) -> Iterator[Tensor]:
    """For each node the partners of highest cosine, in blocks.

    Args:
        embeddings: (N, H).
        nodes: (n,) int64.
        partners: (m,) int64.
        count: partners for each node, itself perhaps among them.

    Yields:
        (2, P) int64, a node and a partner.
    """
    count = min(count, len(partners))
    unit = F.normalize(embeddings.float())
    find = _exact if len(nodes) * len(partners) <= _EXACT else _indexed
    for some, found in find(unit, nodes, partners, count):
        yield torch.stack([some, partners[found]])


def _exact(
    unit: Tensor, nodes: Tensor, partners: Tensor, count: int
) -> Iterator[tuple[Tensor, Tensor]]:
    others = unit[partners.to(unit.device)].T
    for some in nodes.split(max(1, _CELLS // len(partners))):
        cosine = unit[some.to(unit.device)] @ others
        found = cosine.topk(count, dim=1).indices.cpu()
        yield some.repeat_interleave(count), found.flatten()


def _indexed(
    unit: Tensor, nodes: Tensor, partners: Tensor, count: int
) -> Iterator[tuple[Tensor, Tensor]]:
    from usearch.index import Index  # slow to import

    vectors = unit.cpu().numpy()
    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f16")
    # By one thread: several would build another index each time.
    index.add(np.arange(len(partners)), vectors[partners.numpy()], threads=1)
    for some in nodes.split(max(1, _CELLS // vectors.shape[1])):
        found = index.search(vectors[some.numpy()], count, threads=torch.get_num_threads())
        keys = np.asarray(found.keys, np.int64).reshape(len(some), -1)
        there = ~np.isnan(found.distances).reshape(keys.shape)  # it may have found fewer
        yield torch.from_numpy(np.repeat(some.numpy(), there.sum(1))), torch.from_numpy(keys[there])
