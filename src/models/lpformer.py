"""LPFormer: attention over the nodes around a pair, placed by personalised PageRank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from runner.errors import RunnerError
from runner.keys import Fraction, InConfig, Positive, PositiveInt, Probability, Share, Width
from runner.models.mlp import MLP, Dropout, ExactLinear
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import gather, pair_product
from runner.ops.attention import attend
from runner.ops.csr import Graph, offsets
from runner.ops.node_values import NodeValues
from runner.ops.overlap import check_pairs, neighbourhoods
from runner.ops.pagerank import personalised_pagerank
from runner.ops.pairs import split_by
from runner.ops.sparse_rows import SparseRows

_STARTS = 1024  # whose PageRank is held at a time before it is thinned
_ENTRIES = 2**17  # nodes around pairs that are attended to at a time, each with a few rows of H


@dataclass(frozen=True, eq=False)
class _Near:
    """Nodes of one class, (n,) each: around which pair, which node, its PageRank from u, from v."""

    pair: Tensor
    node: Tensor
    from_u: Tensor
    from_v: Tensor

    def keep(self, mask: Tensor) -> _Near:
        return _Near(self.pair[mask], self.node[mask], self.from_u[mask], self.from_v[mask])


class LPFormer(Predictor):
    """LPFormer of Shomer et al. (2024, arXiv 2310.11009).

    logit(u, v) = score([f_pair(h_u ⊙ h_v) ‖ f_around([o ‖ counts])]). The nodes w around a pair are
    its common neighbours, the neighbours of one end alone (of a linked pair u and v too) and other
    nodes, of each class those with π_u(w) and π_v(w) of at least a threshold, where π_u is the
    personalised PageRank of u. The place of w is p_w = g(π_u, π_v) + g(π_v, π_u), with a g for each
    class, y_w = W_r [h_w ‖ p_w] + b_r, and o = LayerNorm(Σ_w share_w y_w + b), where share is the
    softmax over w of a · LeakyReLU(y_w ⊙ (q_u + q_v)) and q = W_l h + b_l.

    The counts are those of the classes and of common and one-sided neighbours together, after the
    thresholds, as in the release; without the one-sided ones only that of common neighbours.

    In training π is that of the graph without the batch's links, computed for its endpoints anew.
    In the release it is that of the whole training graph, from which a target's place can be told.

    Args:
        hidden: width H of the embeddings.
        heads: of the attention.
        score_layers: number of Linears of the score.
        dropout: rate before the ReLUs of all parts but the score, and of o.
        score_dropout: rate before the ReLUs of the score.
        entry_dropout: share of the nodes around a pair that are left out in training.
        common_threshold, one_hop_threshold, beyond_threshold: 1 leaves the class out.
        alpha: probability of a restart, of PageRank.
        epsilon: error of PageRank for each neighbour (:mod:`runner.ops.pagerank`).
        targets_in_pagerank: π, and which nodes are no neighbours, of the whole training graph, as
            in the release: a leak of the targets.

    Raises:
        ValueError: if common neighbours are left out, or one-sided ones alone.
    """

    common_neighbours = "term"
    published_with: ClassVar[Mapping[str, Any]] = {"targets_in_pagerank": True}

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 64,
        heads: InConfig[PositiveInt] = 1,
        score_layers: InConfig[PositiveInt] = 2,
        dropout: InConfig[Probability] = 0.1,
        score_dropout: InConfig[Probability] = 0.1,
        entry_dropout: InConfig[Probability] = 0.0,
        common_threshold: InConfig[Fraction] = 0.0,
        one_hop_threshold: InConfig[Fraction] = 0.01,
        beyond_threshold: InConfig[Fraction] = 0.01,
        alpha: InConfig[Share] = 0.15,
        epsilon: InConfig[Positive] = 1e-5,
        targets_in_pagerank: InConfig[bool] = False,
    ) -> None:
        super().__init__()
        if common_threshold == 1:
            raise ValueError("common_threshold=1 would leave out common neighbours; give less")
        if one_hop_threshold == 1 != beyond_threshold:
            raise ValueError(
                f"one_hop_threshold=1 leaves out one-sided neighbours, but beyond_threshold="
                f"{beyond_threshold} keeps nodes beyond them; give beyond_threshold=1 too"
            )
        thresholds = (common_threshold, one_hop_threshold, beyond_threshold)
        self.thresholds = [float(threshold) for threshold in thresholds if threshold < 1]
        self.entry_dropout = entry_dropout
        self.alpha, self.epsilon = alpha, epsilon
        self.targets_in_pagerank = targets_in_pagerank
        classes = len(self.thresholds)
        self.places = nn.ModuleList(_mlp(2, hidden, hidden, dropout) for _ in range(classes))
        self.left = nn.Linear(hidden, heads * hidden)
        self.right = nn.Linear(2 * hidden, heads * hidden)
        self.attention = nn.Parameter(torch.empty(1, heads, hidden))
        nn.init.xavier_uniform_(self.attention)
        self.bias = nn.Parameter(torch.zeros(heads * hidden))
        self.norm = nn.LayerNorm(heads * hidden)
        self.drop = Dropout(dropout)
        around = heads * hidden + (1 if classes == 1 else classes + 1)
        self.f_around = _mlp(around, around, hidden, dropout)
        self.f_pair = _mlp(hidden, hidden, hidden, dropout)
        width = 2 * hidden
        blocks = [
            (nn.Linear(width, width), nn.Dropout(score_dropout), nn.ReLU())
            for _ in range(score_layers - 1)
        ]
        self.score = MLP(*(layer for block in blocks for layer in block), ExactLinear(width, 1))

    def structure(self, graph: Graph) -> Any:
        """π of all nodes, thinned to what is read of it."""
        nodes = torch.arange(graph.num_nodes, device=graph.col.device)
        return [values.tensors() for values in self._pagerank(graph, nodes)]

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H)."""
        check_pairs(view.graph, pairs)
        around = self.around(h, view, pairs)
        joint = torch.cat([self.f_pair(pair_product(h, pairs)), self.f_around(around)], dim=1)
        return self.score(joint).squeeze(-1)

    def around(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """[o ‖ counts] of each pair, (B, heads · H + counts)."""
        seen = view.whole if self.targets_in_pagerank else view.graph
        if view.structure is not None and (view.hidden is None or self.targets_in_pagerank):
            pagerank = [NodeValues.of_tensors(tensors) for tensors in view.structure]
        else:
            pagerank = self._pagerank(seen, pairs.unique())
        left = self.left(h)
        right = F.linear(h, self.right.weight[:, : h.size(1)], self.right.bias)
        blocks = self._blocks(view.graph, pagerank, pairs)
        found = []
        for block in blocks:
            given = (left, right, view.graph, seen, pagerank, block)
            if len(blocks) > 1 and torch.is_grad_enabled():
                found.append(checkpoint(self._around, *given, use_reentrant=False))
            else:
                found.append(self._around(*given))
        return torch.cat(found)

    def _blocks(self, graph: Graph, pagerank: list[NodeValues], pairs: Tensor) -> list[Tensor]:
        """The pairs, in parts with about as many nodes around them as memory is meant for."""
        most = graph.degree()[pairs].sum(dim=0)
        if len(pagerank) > 1:
            most = most + pagerank[1].entries.degree()[pairs].amin(dim=0)
        return split_by(pairs, most, _ENTRIES)

    def _around(
        self,
        left: Tensor,
        right: Tensor,
        graph: Graph,
        seen: Graph,
        pagerank: list[NodeValues],
        pairs: Tensor,
    ) -> Tensor:
        classes = self._classes(graph, seen, pagerank, pairs)
        pair = torch.cat([near.pair for near in classes])
        entry = torch.argsort(pair, stable=True)
        counts = torch.stack(
            [torch.bincount(near.pair, minlength=pairs.size(1)) for near in classes]
        )
        rowptr = offsets(counts.sum(dim=0))
        place = torch.cat(
            [g(torch.stack([near.from_u, near.from_v], dim=1).to(left.dtype))
             + g(torch.stack([near.from_v, near.from_u], dim=1).to(left.dtype))
             for g, near in zip(self.places, classes, strict=True)]
        )  # fmt: skip
        node = torch.cat([near.node for near in classes])
        y = gather(right, node) + F.linear(place, self.right.weight[:, -place.size(1) :])
        ends = gather(left, pairs[0]) + gather(left, pairs[1])
        heads = (-1, *self.attention.shape[1:])
        score = (F.leaky_relu(y * gather(ends, pair), 0.2).view(heads) * self.attention).sum(-1)
        o = attend(y.view(heads), score, rowptr, entry).flatten(1)
        o = self.drop(self.norm(o + self.bias))
        columns = [counts[0]] if len(classes) == 1 else [*counts, counts[:2].sum(dim=0)]
        return torch.cat([o, torch.stack(columns, dim=1).to(o.dtype)], dim=1)

    def _classes(
        self, graph: Graph, seen: Graph, pagerank: list[NodeValues], pairs: Tensor
    ) -> list[_Near]:
        """The nodes around each pair: common, one-sided, beyond, as far as there is a threshold."""
        u, v = pairs
        common, only_u, only_v = neighbourhoods(graph, pairs)
        members = [
            (common.target, common.node),
            (torch.cat([only_u.target, only_v.target]), torch.cat([only_u.node, only_v.node])),
        ]
        near = pagerank[0]
        found = []
        for threshold, (pair, node) in zip(self.thresholds, members, strict=False):
            all_ = _Near(pair, node, near.at(u[pair], node), near.at(v[pair], node))
            found.append(all_.keep((all_.from_u >= threshold) & (all_.from_v >= threshold)))
        if len(self.thresholds) > 2:
            lists, from_u, from_v = pagerank[1].shared(pairs)
            linked = [seen.find(torch.stack((end[lists.target], lists.node))) >= 0 for end in pairs]
            beyond = _Near(lists.target, lists.node, from_u, from_v)
            found.append(beyond.keep(~(linked[0] | linked[1])))
        if not self.training or not self.entry_dropout:
            return found
        return [
            part.keep(torch.rand(part.node.shape).to(part.node.device) >= self.entry_dropout)
            for part in found
        ]

    def _pagerank(self, graph: Graph, starts: Tensor) -> list[NodeValues]:
        """π of ``starts``, ascending, as far as it is read.

        First at neighbours, and elsewhere above the threshold of one-sided ones; then above that of
        nodes beyond, where these count.

        Raises:
            RunnerError: if it would not fit into memory.
        """
        device, graph = starts.device, graph.to("cpu")
        found: list[list[SparseRows]] = [[] for _ in self.thresholds[:2]]
        for number, block in enumerate(starts.cpu().split(_STARTS), start=1):
            rows = personalised_pagerank(graph, block, damping=1 - self.alpha, epsilon=self.epsilon)
            rows = rows.with_value(rows.value.float())
            start = torch.repeat_interleave(block, rows.rowptr.diff(), output_size=rows.col.numel())
            read = graph.find(torch.stack((start, rows.col))) >= 0
            if len(self.thresholds) > 1:
                read |= rows.value >= self.thresholds[1]
            found[0].append(rows.keep(read))
            if len(self.thresholds) > 2:
                found[1].append(rows.keep(rows.value >= self.thresholds[2]))
            self._require_memory(found, _STARTS * number / max(1, starts.numel()))
        return [
            NodeValues.of_rows(starts.cpu(), SparseRows.joined(parts)).to(device)
            for parts in found
            if parts
        ]

    def _require_memory(self, found: list[list[SparseRows]], share: float) -> None:
        size = sum(part.col.nbytes + part.value.nbytes for parts in found for part in parts)
        needed, free = size / min(1, share), psutil.virtual_memory().available
        if needed > free:
            raise RunnerError(
                f"model.epsilon={self.epsilon}: PageRank of this graph takes about "
                f"{needed / 2**30:.1f} GiB, and {free / 2**30:.1f} are free; raise it, or "
                "model.one_hop_threshold and model.beyond_threshold"
            )


def _mlp(before: int, hidden: int, after: int, dropout: float) -> MLP:
    return MLP(
        nn.Linear(before, hidden),
        nn.LayerNorm(hidden),
        nn.Dropout(dropout),
        nn.ReLU(),
        nn.Linear(hidden, after),
    )
