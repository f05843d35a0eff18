"""The graphs of a run: the links that training, validation and the test see."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.data.link_data import LinkData
from runner.ops.csr import Graph

Graphs = tuple[Graph, Graph, Graph]
"""Of training, of validation and of the test; the same object where the links are the same."""


def build_graphs(data: LinkData, *, validation_edges: bool) -> Graphs:
    """The graphs of a dataset: support links are in those of their part and of later ones.

    Args:
        validation_edges: the graph of the test has the scored links of validation.
    """
    train = data.train_graph or Graph.from_edges(data.train, data.num_nodes)
    seen = [data.train]

    def grown(graph: Graph, *further: Tensor | None) -> Graph:
        links = [part for part in further if part is not None]
        seen.extend(links)
        return Graph.from_edges(torch.cat(seen, dim=1), data.num_nodes) if links else graph

    valid = grown(train, data.valid_support)
    scored = data.valid.positive if validation_edges else None
    return train, valid, grown(valid, scored, data.test_support)


def words_of_test_graph(data: LinkData, *, validation_edges: bool) -> str:
    """What `meta.json` calls the graph of the test."""
    supported = data.valid_support is not None or data.test_support is not None
    if not supported:
        return "training and validation edges" if validation_edges else "training edges"
    return f"training{', validation' if validation_edges else ''} and support edges"


def move_graphs(graphs: Graphs, device: torch.device) -> Graphs:
    """The graphs on a device, each once."""
    moved = {id(graph): graph.to(device) for graph in graphs}
    train, valid, test = (moved[id(graph)] for graph in graphs)
    return train, valid, test
