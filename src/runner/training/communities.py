"""Communities of a graph and how strong they are, and PageRank, by networkx."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from runner.ops.csr import Graph


def louvain(graph: Graph, seed: int) -> Tensor:
    """The community of every node, (N,) int64, by networkx's Louvain (Blondel et al. 2008).

    A node without links is a community of its own.

    Args:
        graph: symmetric.
        seed: of the order in which nodes are visited.
    """
    import networkx  # not at the top: slow

    found, own = torch.empty(graph.num_nodes, dtype=torch.int64), to_networkx(graph)
    for number, nodes in enumerate(networkx.community.louvain_communities(own, seed=seed)):
        found[list(nodes)] = number
    return found


def strengths(graph: Graph, community: Tensor) -> Tensor:
    """S_c = l_c / m - (d_c / 2m)² of every community, float64: its share of the modularity.

    Equation 1 of CSGCL (arXiv 2305.04658); l_c of the m links lie within c, d_c is the sum of the
    degrees of its nodes. Their sum is the modularity. Of a graph without links all are 0.

    Args:
        graph: symmetric.
        community: (N,) int64.
    """
    community = community.cpu()
    row, col = graph.row.cpu(), graph.col.cpu().long()
    ends, count = max(1, graph.num_entries), int(community.max()) + 1
    inside = community[row][community[row] == community[col]]
    degrees = torch.bincount(community[row], minlength=count).double()
    return torch.bincount(inside, minlength=count).double() / ends - (degrees / ends) ** 2


def facts_of(graph: Graph, community: Tensor) -> dict[str, Any]:
    """How many communities there are, how many of one node alone, and their modularity."""
    sizes = torch.bincount(community.cpu())
    return {
        "communities": int((sizes > 0).sum()),
        "single_nodes": int((sizes == 1).sum()),
        "modularity": round(float(strengths(graph, community).sum()), 6),
    }


def pagerank(graph: Graph) -> Tensor:
    """Of every node, (N,) float64 on the CPU, by networkx with a damping of 0.85."""
    import networkx  # not at the top: slow

    found = networkx.pagerank(to_networkx(graph))
    return torch.tensor([found[node] for node in range(graph.num_nodes)], dtype=torch.float64)


def to_networkx(graph: Graph) -> Any:
    """The ``networkx.Graph`` of a symmetric graph, with nodes 0 to N - 1."""
    import networkx  # not at the top: slow

    other = networkx.Graph()
    other.add_nodes_from(range(graph.num_nodes))
    other.add_edges_from(zip(graph.row.tolist(), graph.col.tolist(), strict=True))
    return other
