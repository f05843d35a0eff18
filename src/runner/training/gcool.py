"""gCooL: contrastive learning with communities that are learned beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.keys import Effect, NotNegative, Positive, PositiveInt, Rates, Width
from runner.ops.aggregate import pool
from runner.ops.csr import Graph
from runner.training.communities import facts_of, pagerank
from runner.training.contrastive import Contrastive, Projection, Seen, info_nce, rows_of
from runner.training.objective import Step
from runner.training.task import Inputs
from runner.training.views import log_of_sums, sum_of_columns

_MOST = 0.7  # probability of a drop
_WITH_COMMUNITIES = 0.2  # of the stride


class _Learned(Projection):
    """With the centres, and the community of every node in the last epoch that learned them."""

    community: Tensor

    def __init__(self, hidden: int, width: int, communities: int) -> None:
        super().__init__(hidden, width)
        self.centres = nn.Parameter(torch.randn(communities, hidden))
        self.register_buffer("community", torch.zeros(0, dtype=torch.int64))


class GCooL(Contrastive):
    """InfoNCE of two views, at first beside communities that it learns (Li et al., 2110.14863).

    R = softmax(h · C / τ) assigns projections h to learned centres C, which DeCA draws towards
    dense communities; each node is then compared with the mean projections of the other view's
    communities. With e epochs done, L_node + a (κ DeCA + (1 - κ) L_community), κ = exp(-e / s) and
    a = max(0, 1 - e / 0.2 s), so that L_node alone is learned in the end. Views drop edges between
    nodes of little centrality and the columns of such nodes.

    Args:
        communities: number of centres.
        density: λ of DeCA.
        epochs: of the run.
        stride: s, a share of them.
        centrality: of nodes; of an edge the mean of the logarithms of its ends.
        deca_learns: what DeCA's gradient reaches: the centres alone, as in the release, or all.
            A single community has the lowest DeCA.
    """

    def __init__(
        self,
        *,
        hidden: Width,
        projection: Width,
        temperature: Positive,
        edge_dropout: Rates,
        column_dropout: Rates,
        communities: PositiveInt,
        density: NotNegative,
        epochs: PositiveInt,
        stride: Positive = 0.5,
        centrality: Literal["degree", "pagerank"] = "degree",
        deca_learns: Literal["centres", "all"] = "centres",
        directions: Literal["together", "apart"] = "together",
        most_nodes: Annotated[PositiveInt, Effect.MACHINE] = 50_000,
    ) -> None:
        super().__init__(
            hidden=hidden,
            projection=projection,
            temperature=temperature,
            edge_dropout=edge_dropout,
            column_dropout=column_dropout,
            directions=directions,
            most_nodes=most_nodes,
        )
        self.density = density
        self.stride = stride * epochs
        self.centrality = centrality
        self.deca_learns = deca_learns
        self.learned: _Learned = _Learned(hidden, projection, communities)

    def prepare(self, inputs: Inputs) -> Mapping[str, Tensor]:
        """What the weights of edges and columns are; none is learned of."""
        graph = inputs.graph
        self.learned.community = torch.zeros(graph.num_nodes, dtype=torch.int64)
        central = (
            pagerank(graph) if self.centrality == "pagerank" else graph.degree().double().cpu()
        )
        log = central.log()
        mean = (log[graph.row.cpu()] + log[graph.col.cpu().long()]) / 2
        found = {"edges": _from_the_top(mean)}
        if inputs.has_columns:
            sums = log_of_sums(sum_of_columns(inputs.features, central))
            found["columns"] = _from_the_top(sums)
        return found

    def facts(self, graph: Graph) -> Mapping[str, Any]:
        return facts_of(graph, self.learned.community)

    def keep_probabilities(self, rate: float) -> Tensor:
        return 1 - self._drop("edges", rate)

    def drop_probabilities(self, rate: float) -> Tensor:
        return self._drop("columns", rate)

    def _drop(self, what: str, rate: float) -> Tensor:
        weight = self.prepared[what]
        return (weight / weight.mean() * rate).clamp(max=_MOST)

    def compare(self, one: Seen, two: Seen, step: Step) -> Tensor:
        both, done = ((one, two), (two, one)), step.epoch - 1
        rows, share = rows_of(step), one.h.new_zeros(())
        for a, b in both:
            share = share + info_nce(a.h, b.h, self.temperature, rows, within=False)
        share = share / (2 * one.h.size(0))
        weight = max(0.0, 1 - done / (_WITH_COMMUNITIES * self.stride))
        if not weight:
            return share
        assigned = {id(view): self._assign(view.h) for view in (one, two)}
        self.learned.community.copy_(assigned[id(one)].argmax(dim=1))
        of_deca = math.exp(-done / self.stride)
        density = contrast = one.h.new_zeros(())
        for a, b in both:
            density = density + deca(assigned[id(a)], a.graph, self.density)
            contrast = contrast + _find_communities(
                a.h, b.h, assigned[id(b)], rows, self.temperature
            )
        density, contrast = density / (2 * step.ranks.size), contrast / (2 * one.h.size(0))
        return share + weight * (of_deca * density + (1 - of_deca) * contrast)

    def _assign(self, h: Tensor) -> Tensor:
        """R, (N, k)."""
        given = h.detach() if self.deca_learns == "centres" else h
        return (given @ F.normalize(self.learned.centres).T / self.temperature).softmax(dim=1)


def _find_communities(
    h: Tensor, other: Tensor, assigned: Tensor, rows: Tensor, temperature: float
) -> Tensor:
    """Σ_i of the cross entropy of node i's community in the other view, i of ``rows``."""
    community = assigned.detach().argmax(dim=1)
    members = F.one_hot(community, assigned.size(1)).to(h)
    means = members.T @ other.detach() / members.sum(dim=0).clamp(min=1).unsqueeze(1)
    logits = h[rows] @ means.T / temperature
    return F.cross_entropy(logits, community[rows], reduction="sum")


def deca(assigned: Tensor, graph: Graph, density: float) -> Tensor:
    """[λ Σ RᵀAR - (n - 1 + λ) tr RᵀAR] / n(n - 1) + tr RᵀR / 2n, a scalar: low where dense.

    Dense community aggregation, as the release of gCooL has it; it never makes A dense.

    Args:
        assigned: R, (n, k), rows of sum 1.
        graph: A.
        density: λ.
    """
    n = assigned.size(0)
    summed = pool(assigned, graph.rowptr, graph.col)
    total = (assigned.sum(dim=1) * summed.sum(dim=1)).sum()
    within = (assigned * summed).sum()
    edges = (density * total - (n - 1 + density) * within) / max(1, n * (n - 1))
    return edges + assigned.square().sum() / (2 * n)


def _from_the_top(values: Tensor) -> Tensor:
    """(max - x) / (max - mean), float32: 1 on average; ones where all are alike."""
    if not values.numel() or values.max() == values.min():
        return torch.ones_like(values).float()
    return ((values.max() - values) / (values.max() - values.mean())).float()
