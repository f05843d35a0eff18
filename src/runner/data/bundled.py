"""Graphs that come with a dependency: real, tiny, no download."""

from __future__ import annotations

import torch

from runner.data.link_data import LinkData
from runner.data.whole_graph import LinkSplit, WholeGraph, split_data


def les_miserables(*, split: LinkSplit) -> LinkData:
    """Les Misérables: 77 characters, 254 co-appearances (Knuth 1993, from networkx).

    Without features: the embeddings are learned.
    """
    import networkx

    named = networkx.les_miserables_graph()
    graph = networkx.convert_node_labels_to_integers(named)
    edges = torch.tensor(list(graph.edges), dtype=torch.int64).T
    return split_data(WholeGraph.of(edges, len(graph)), split, features=None, names=list(named))
