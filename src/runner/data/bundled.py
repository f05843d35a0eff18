"""Graphs that come with a dependency: real, tiny, no download."""

from __future__ import annotations

import torch

from runner.data.link_data import LinkData, link_data
from runner.data.splits import RandomSplit


def les_miserables(*, split: RandomSplit) -> LinkData:
    """Les Misérables: 77 characters, 254 co-appearances (Knuth 1993, from networkx).

    Without features: the embeddings are learned.
    """
    import networkx

    graph = networkx.convert_node_labels_to_integers(networkx.les_miserables_graph())
    edges = torch.tensor(list(graph.edges), dtype=torch.int64).T
    train, valid, test = split.split(edges, len(graph))
    return link_data(num_nodes=len(graph), features=None, train=train, valid=valid, test=test)
