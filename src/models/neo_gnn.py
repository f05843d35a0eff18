"""Neo-GNN: the overlap of learned neighbourhoods beside the product of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from runner.keys import InConfig, Positive, PositiveInt, Probability, Width
from runner.models.hadamard_mlp import HadamardMLP
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pool
from runner.ops.csr import Graph, offsets
from runner.ops.node_values import NodeValues
from runner.ops.overlap import check_pairs
from runner.ops.pairs import split_by
from runner.ops.walks import count_short_walks, short_walks

_ENTRIES = 2**25  # ends of walks that are held at a time, of 16 bytes


class NeoGNN(Predictor):
    """Neo-GNN of Yun et al. (2021).

    With B = A + βA², whose diagonal stays: s_j = Σ_i f_edge(B_ij) over the entries that are not
    zero, r = f_node(s), and the structural logit of (u, v) is g(Σ_w B_uw r_w B_vw r_w). The other
    logit is an MLP of h_u ⊙ h_v. The score is the logit of the mean of both probabilities, weighted
    by a learned softmax. All three are learned as the score is.

    Args:
        hidden: width H of the embeddings and of the MLP.
        layers: number of Linears of the MLP.
        dropout: rate before the ReLUs of the MLP.
        beta: weight of a walk of two steps.
        edge_hidden: width of f_edge.
        node_hidden: width of f_node and of g.
    """

    reach = 4

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 64,
        layers: InConfig[PositiveInt] = 3,
        dropout: InConfig[Probability] = 0.0,
        beta: InConfig[Positive] = 0.1,
        edge_hidden: InConfig[Width] = 8,
        node_hidden: InConfig[Width] = 128,
    ) -> None:
        super().__init__()
        self.beta = beta
        self.f_edge = _scalar_mlp(edge_hidden)
        self.f_node = _scalar_mlp(node_hidden)
        self.g = _scalar_mlp(node_hidden)
        self.product = HadamardMLP(hidden=hidden, layers=layers, dropout=dropout)
        self.alpha = nn.Parameter(torch.zeros(2))
        self._parts: tuple[Tensor, ...] = ()

    def structure(self, graph: Graph) -> Any:
        """How many entries of each value every row of B has."""
        nodes = torch.arange(graph.num_nodes, device=graph.col.device).unsqueeze(0)
        blocks = []
        for (block,) in split_by(nodes, _count_ends(graph), _ENTRIES):
            found = short_walks(graph, block)
            row = torch.repeat_interleave(block, found.rowptr.diff())
            values = 1 + (int(found.value.max()) if found.value.numel() else 0)
            key, number = torch.unique(row * values + found.value, return_counts=True)
            row = torch.div(key, values, rounding_mode="floor")
            blocks.append((row, key - row * values, number))
        row, value, number = (torch.cat(parts) for parts in zip(*blocks, strict=True))
        distinct, index = value.unique(return_inverse=True)
        rowptr = offsets(torch.bincount(row, minlength=graph.num_nodes))
        return {"rowptr": rowptr, "distinct": distinct, "index": index, "number": number}

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H)."""
        check_pairs(view.graph, pairs)
        weight = self._weights(view, h.dtype).square()
        blocks = split_by(pairs, _count_ends(view.graph)[pairs].sum(dim=0), _ENTRIES)
        overlaps = []
        for block in blocks:
            given = (view.graph, weight, block)
            if len(blocks) > 1 and torch.is_grad_enabled():
                overlaps.append(checkpoint(self._overlap, *given, use_reentrant=False))
            else:
                overlaps.append(self._overlap(*given))
        overlap = torch.cat(overlaps)
        structural, product = self.g(overlap).squeeze(-1), self.product(h, view, pairs)
        self._parts = (structural, product) if self.training else ()
        share = F.log_softmax(self.alpha, dim=0)
        links, none = (
            torch.logaddexp(share[0] + F.logsigmoid(s), share[1] + F.logsigmoid(p))
            for s, p in ((structural, product), (-structural, -product))
        )
        return links - none

    def further_logits(self) -> Sequence[Tensor]:
        parts, self._parts = self._parts, ()
        return parts

    def _weights(self, view: View, dtype: torch.dtype) -> Tensor:
        """r, (N, 1), of the nodes of the view's graph."""
        of_whole = view.structure is not None and view.hidden is None
        found = view.structure if of_whole else self.structure(view.graph)
        edge = self.f_edge(self._entries(found["distinct"]).to(dtype).unsqueeze(1))
        weight = found["number"].to(dtype)
        r = self.f_node(pool(edge, found["rowptr"], found["index"], weight=weight))
        return r if view.nodes is None or not of_whole else r[view.nodes]

    def _overlap(self, graph: Graph, weight: Tensor, pairs: Tensor) -> Tensor:
        """Σ_w B_uw B_vw r_w², (B, 1)."""
        nodes = pairs.unique()
        walks = NodeValues.of_rows(nodes, short_walks(graph, nodes))
        lists, from_u, from_v = walks.shared(pairs)
        factor = self._entries(from_u) * self._entries(from_v)
        return pool(weight, lists.rowptr, lists.node, weight=factor)

    def _entries(self, value: Tensor) -> Tensor:
        return (value & 1) + self.beta * (value >> 1).double()


def _count_ends(graph: Graph) -> Tensor:
    """Ends of walks of one and two steps from each node, (N,) int64, at most."""
    return count_short_walks(graph).clamp(max=graph.num_nodes)


def _scalar_mlp(hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 1))
