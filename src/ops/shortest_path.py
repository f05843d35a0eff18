"""The distance of two nodes."""

from __future__ import annotations

import math

import torch

from runner.ops.csr import Graph
from runner.ops.overlap import rows


def path_length(graph: Graph, source: int, target: int) -> float:
    """Steps of the shortest path between two nodes of a symmetric graph; inf where there is none.

    Breadth first from both ends, from that with the smaller frontier next: the first node that both
    have reached lies on a shortest path, since all nearer ones were compared before.
    """
    if source == target:
        return 0.0
    frontier = [torch.tensor([node], device=graph.col.device) for node in (source, target)]
    nobody = torch.zeros(graph.num_nodes, dtype=torch.bool, device=graph.col.device)
    reached = [nobody.index_fill(0, ends, True) for ends in frontier]
    steps = 0
    while all(ends.numel() for ends in frontier):
        side = int(frontier[1].numel() < frontier[0].numel())
        near = rows(graph, frontier[side]).node.unique()
        frontier[side] = near[~reached[side][near]]
        steps += 1
        if bool(reached[1 - side][frontier[side]].any()):
            return float(steps)
        reached[side][frontier[side]] = True
    return math.inf
