"""The largest connected component of a graph, numbered anew."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor


def largest_component(edges: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """The links of the largest component, and its nodes.

    Of several of one size the one with the lowest node.

    Args:
        edges: (2, M) int64.

    Returns:
        The links by their new numbers, (2, M'), and the old numbers, (N',) int64, ascending.
    """
    shape = (num_nodes, num_nodes)
    links = scipy.sparse.coo_array((np.ones(edges.size(1), bool), tuple(edges.numpy())), shape)
    _, label = connected_components(links, directed=False)
    # Labels follow the lowest node of each.
    inside = torch.from_numpy(label == np.bincount(label).argmax())
    number = inside.cumsum(0) - 1
    return number[edges[:, inside[edges[0]]]], inside.nonzero().squeeze(1)
