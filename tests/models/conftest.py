from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, random_edges, some_pairs
from torch import Tensor, nn

from runner.ops.csr import Graph

HIDDEN = 6


@dataclass
class Case:
    """One input of a predictor, in float64, as our graph and as a dense matrix."""

    h: Tensor
    graph: Graph
    dense: np.ndarray
    pairs: Tensor

    @property
    def some(self) -> list[int]:
        """Half of the pairs: a few edges, and what follows them, strangers and corners."""
        count = self.pairs.size(1)
        return [*range(0, count // 2, 6), *range(count // 2 + 10, count)]


@pytest.fixture(params=range(2))
def case(request):
    edges = random_edges(request.param)
    return Case(
        h=torch.from_numpy(np.random.default_rng(2).normal(size=(NUM_NODES, HIDDEN))),
        graph=Graph.from_edges(torch.from_numpy(edges), NUM_NODES),
        dense=adjacency(edges, NUM_NODES),
        pairs=torch.from_numpy(some_pairs(edges)),
    )


@pytest.fixture
def settle():
    """Make a module's parameters float64 and the same in every call, unlike special values."""

    def apply(module: nn.Module) -> nn.Module:
        seeded = torch.manual_seed(0)
        module.double().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                noise = torch.randn(parameter.shape, generator=seeded, dtype=torch.float64)
                parameter.copy_(0.5 * noise if parameter.dim() > 1 else 0.6 + 0.3 * noise)
        return module

    return apply
