"""Messages re-weighted by the predictor's own scores (arXiv 2310.04612)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from runner.keys import NotNegative, PositiveInt
from runner.models.link_model import LinkModel
from runner.models.reweighting import Reweighting
from runner.ops.csr import Graph
from runner.ops.message_weights import MessageWeights
from runner.ops.sparse_rows import SparseRows

_AT_A_TIME = 65_536  # pairs that are scored: memory, not results

Source = Literal["gcn", "sage"]
Orientation = Literal["centre", "release"]
_SOURCES = {"gcn": MessageWeights.symmetric, "sage": MessageWeights.mean}


class TopologyReweighting(Reweighting):
    """w_ij = b_ij + alpha p_ij Σ_k b_ik, with b the encoder's own weights on A + I.

    p_i = softmax over i's neighbours j and i itself of sigmoid(logit(M_i, h_j)), with h encoded
    by the present weights, M = Ã h and Ã the matrix of ``source``. So a centre gives more weight to
    the neighbours that look like its neighbourhood, within a factor e. Topology-aware re-weighting
    of Wang et al., "A Topological Perspective on Demystifying GNN-Based Link Prediction
    Performance" (ICLR 2024, arXiv 2310.04612), as its release computes it: always from b.

    Args:
        alpha: what is added, in shares of the sum of the own weights; 0 keeps these.
        interval: epochs from one refresh to the next.
        warm_up: the first epoch after which there is one; its number is a multiple of the interval.
        source: Ã, as "gcn" D^-1/2 (A + I) D^-1/2, as "sage" D^-1 (A + I).
        orientation: "centre": i receives from j with the weight that i gives j. "release": that j
            gives i, the transpose, as the release multiplies.
    """

    def __init__(
        self,
        *,
        alpha: NotNegative,
        interval: PositiveInt,
        warm_up: PositiveInt,
        source: Source,
        orientation: Orientation,
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.interval = interval
        self.warm_up = warm_up
        self.source = source
        self.orientation = orientation

    def due(self, epoch: int) -> bool:
        return epoch >= self.warm_up and epoch % self.interval == 0

    def computed(
        self, model: LinkModel, features: Tensor | SparseRows, graph: Graph
    ) -> MessageWeights:
        base = self.own_weights(model.encoder, graph)
        h = model.encode(features, graph)
        mixed = _SOURCES[self.source](graph).sum(h, graph)
        both, n = torch.cat([mixed, h]), graph.num_nodes
        nodes = torch.arange(n, device=h.device)
        pairs = torch.cat(
            [torch.stack((graph.row, n + graph.col)), torch.stack((nodes, n + nodes))], 1
        )
        logits = torch.cat([model.score(both, graph, part) for part in pairs.split(_AT_A_TIME, 1)])
        scored = MessageWeights(*logits.split([graph.num_entries, n]))
        return reweighted(base, scored, graph, alpha=self.alpha, orientation=self.orientation)


def reweighted(
    base: MessageWeights,
    logits: MessageWeights,
    graph: Graph,
    *,
    alpha: float,
    orientation: Orientation,
) -> MessageWeights:
    """The weights that logits give; see :class:`TopologyReweighting`.

    Args:
        logits: of the entries (i, j), and of (i, i): what centre i gives j and itself.
    """
    # A sigmoid is at most 1, so that no maximum need be taken off before the exponential.
    p = MessageWeights(logits.entries.sigmoid().exp(), logits.loops.sigmoid().exp())
    given = base if orientation == "centre" else base.transposed(graph)
    share = alpha * given.row_sums(graph) / p.row_sums(graph)
    added = MessageWeights(p.entries * share[graph.row], p.loops * share)
    if orientation == "release":
        added = added.transposed(graph)
    return MessageWeights(base.entries + added.entries, base.loops + added.loops)
