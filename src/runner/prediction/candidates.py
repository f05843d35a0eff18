"""Candidates: the pairs that are scored where there are too many pairs to score all."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.ops.csr import Graph
from runner.prediction.all_pairs import AllPairs
from runner.prediction.nearest_pairs import nearest_pairs
from runner.prediction.two_hop_pairs import two_hop_pairs


def find_candidates(graph: Graph, embeddings: Tensor, pairs: AllPairs, *, most: int) -> Tensor:
    """Pairs of the two-hop neighbourhood of each node, and with the nearest embeddings.

    Of a directed graph also the links themselves, in both orders.

    Args:
        graph: of the links that are known, on the CPU.
        embeddings: (N, H); H may be 0.
        pairs: those that could be linked.
        most: candidates beside links, about.

    Returns:
        (2, P) int64 of ``pairs``, in their order.
    """
    nodes, partners = pairs.first, pairs.second
    orders = 2 if pairs.both_orders else 1
    each = max(1, most // (2 * orders * len(nodes)))
    among = torch.zeros(graph.num_nodes, dtype=torch.bool)
    among[partners] = True
    found = list(two_hop_pairs(graph, nodes, among, count=each, across=pairs.bipartite))
    if embeddings.size(1):
        linked = 1 + graph.num_entries // graph.num_nodes  # of the nearest, on average
        for some in nearest_pairs(embeddings, nodes, partners, count=each + linked):
            found.append(some[:, graph.find(some) < 0])
    if pairs.both_orders:
        found.append(torch.stack([graph.row, graph.col.long()]))
    return pairs.of(torch.cat(found, dim=1))
