"""CSGCL: contrastive learning that heeds how strong communities are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from runner.keys import (
    Effect,
    Fraction,
    NotNegative,
    Positive,
    PositiveInt,
    Rates,
    RunSeed,
    Width,
)
from runner.ops.csr import Graph
from runner.training.communities import facts_of, louvain, strengths
from runner.training.contrastive import Contrastive, Seen, info_nce, rows_of
from runner.training.objective import Step
from runner.training.task import Inputs
from runner.training.views import log_of_sums, sum_of_columns

_RISE = 100  # epochs in which the strength's factor grows by 1


class CSGCL(Contrastive):
    """InfoNCE of two views that corrupt weak communities more (Chen et al., arXiv 2305.04658).

    Communities are found once, in the training graph, by Louvain; the strength S of a node is that
    of its community (:func:`~runner.training.communities.strengths`). Communal edge dropping keeps
    edges within strong communities, communal attribute voting columns that stand there. After a
    share of the epochs, g (S_i + S_j) is added to similarities (Team-up), g growing by 1 in 100
    epochs: negatives from strong communities weigh more.

    Args:
        epochs: of the run.
        team_up_from: the share of them after which g grows.
        team_up: the largest g; 0 for plain InfoNCE.
        seed: of Louvain.
    """

    def __init__(
        self,
        *,
        hidden: Width,
        projection: Width,
        temperature: Positive,
        edge_dropout: Rates,
        column_dropout: Rates,
        epochs: PositiveInt,
        team_up_from: Fraction = 0.5,
        team_up: NotNegative = 1.0,
        seed: RunSeed,
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
        self.start = team_up_from * epochs
        self.team_up = team_up
        self.seed = seed

    def prepare(self, inputs: Inputs) -> Mapping[str, Tensor]:
        """The community of each node; S of each; what the weights of edges and columns are."""
        graph = inputs.graph
        community = louvain(graph, self.seed)
        strength = strengths(graph, community)
        found = {
            "community": community,
            "strength": strength[community].float(),
            "edges": edge_weights(graph, community, strength),
        }
        if inputs.has_columns:
            found["columns"] = column_weights(sum_of_columns(inputs.features, strength[community]))
        return found

    def facts(self, graph: Graph) -> Mapping[str, Any]:
        return facts_of(graph, self.prepared["community"])

    def keep_probabilities(self, rate: float) -> Tensor:
        weight = self.prepared["edges"]
        return (weight / weight.mean() * (1 - rate)).clamp(0, 1)

    def drop_probabilities(self, rate: float) -> Tensor:
        weight = self.prepared["columns"]
        return (weight / weight.mean() * rate).clamp(0, 1)

    def compare(self, one: Seen, two: Seen, step: Step) -> Tensor:
        factor = min(max(0.0, (step.epoch - self.start) / _RISE), self.team_up)
        bonus = factor * self.prepared["strength"] if factor else None
        rows, count = rows_of(step), one.h.size(0)
        share = one.h.new_zeros(())
        for a, b in ((one, two), (two, one)):
            share = share + info_nce(a.h, b.h, self.temperature, rows, within=True, bonus=bonus)
        return share / (2 * count)


def edge_weights(graph: Graph, community: Tensor, strength: Tensor) -> Tensor:
    """S_c of an entry within c, -(S_a + S_b) of one across, moved to [0, 1]: (E,) float32."""
    a, b = (community[ends.cpu().long()] for ends in (graph.row, graph.col))
    return _to_unit(torch.where(a == b, strength[a], -strength[a] - strength[b])).float()


def column_weights(sums: Tensor) -> Tensor:
    """How weak the communities are whose nodes have a column, (F,) float32 in [0, 1].

    Args:
        sums: (F,) float64, of |x_if| S_i.
    """
    return _to_unit(-log_of_sums(sums)).float()


def _to_unit(weight: Tensor) -> Tensor:
    """Moved to [0, 1]; ones where all are alike."""
    if not weight.numel() or weight.min() == weight.max():
        return torch.ones_like(weight)
    return (weight - weight.min()) / (weight.max() - weight.min())
