"""BUDDY: how many nodes lie at which distances from a pair, beside the product of embeddings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ClassVar, Literal

import psutil
import torch
from torch import Tensor, nn

from runner.errors import RunnerError
from runner.keys import InConfig, Probability, Width
from runner.models.batch_norm import BatchNorm
from runner.models.distance_features import Arithmetic, columns, distance_features, normed
from runner.models.heuristics import ResourceAllocation
from runner.models.mlp import MLP, ExactLinear
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pair_product
from runner.ops.csr import Graph
from runner.ops.distance_counts import distance_counts, expected_ball
from runner.ops.overlap import check_pairs
from runner.ops.sketches import BYTES, Sketches, estimated_counts, sketch_balls, sketch_nodes

log = logging.getLogger(__name__)

_LARGE = 10_000  # nodes of a ball, from which on sketches of it are faster by far


class BUDDY(Predictor):
    """Chamberlain et al. 2023, arXiv 2209.15486.

    logit(u, v) = w [s ‖ p_1 ‖ … ‖ RA] + b, where s = ReLU(BatchNorm(W f + b)) of the
    :func:`~runner.models.distance_features.distance_features` f of the pair, p = ReLU(BatchNorm(W
    (h_u ⊙ h_v) + b)) of each part of the embeddings, and RA is resource allocation through a
    BatchNorm. Counts are those of the graph that the batch may see.

    Args:
        hidden: width H of each part of the embeddings.
        embeddings: how many parts they have, (N, embeddings · H); 0 reads none.
        hops: the largest distance K.
        counts: of neighbours. exact; sketch estimates them, in a time that the number of
            neighbours does not change; auto takes exact ones where they are few enough.
        arithmetic: release keeps the errors of BUDDY's.
        zero_one: keep what tells of a pair whether its own link is in the graph.
        floor: estimates below 0 become 0.
        normed: beside each count, the same over the root of the ends' degrees.
        resource_allocation: take RA.
        dropout: rate before the ReLU of the embeddings' products.
        count_dropout: rate before that of the counts.

    Raises:
        ValueError: if ``floor`` has no effect.
    """

    published_with: ClassVar = {"arithmetic": "release", "counts": "sketch"}

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 64,
        embeddings: InConfig[Literal[0, 1, 2]] = 1,
        hops: InConfig[Literal[1, 2, 3]] = 2,
        counts: InConfig[Literal["auto", "exact", "sketch"]] = "auto",
        arithmetic: InConfig[Arithmetic] = "exact",
        zero_one: InConfig[bool] = True,
        floor: InConfig[bool] = False,
        normed: InConfig[bool] = False,
        resource_allocation: InConfig[bool] = False,
        dropout: InConfig[Probability] = 0.5,
        count_dropout: InConfig[Probability] = 0.5,
    ) -> None:
        super().__init__()
        if floor and counts == "exact":
            raise ValueError("floor=true has no effect with counts=exact: no count is below 0")
        self.reads_embeddings = embeddings > 0
        self.hidden = hidden
        self.hops = hops
        self.arithmetic = arithmetic
        self.zero_one = zero_one
        self.floor = floor
        self.normed = normed
        self.exact = None if counts == "auto" else counts == "exact"
        self.reach = max(hops, 2 if resource_allocation else 1)
        width = len(columns(hops)) * (2 if normed else 1)
        self.f_counts = _block(ExactLinear(width, width), dropout=count_dropout)
        self.f_pair = nn.ModuleList(
            _block(nn.Linear(hidden, hidden), dropout=dropout) for _ in range(embeddings)
        )
        self.heuristic = ResourceAllocation() if resource_allocation else None
        self.norm = BatchNorm(1) if resource_allocation else None
        width += embeddings * hidden + (1 if resource_allocation else 0)
        self.head = ExactLinear(width, 1)

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, embeddings · H)."""
        return self._score(h, view, self._sketches(view), pairs)

    def scorer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Tensor]:
        seen = View.of(view)
        sketches = self._sketches(seen)
        return lambda pairs: self._score(h, seen, sketches, pairs)

    def structure(self, graph: Graph) -> dict[str, Tensor] | None:
        """The sketches of a graph, where its counts are not exact."""
        if self._is_exact(graph):
            return None
        return vars(self._sketch(graph))

    def prepare(self, graph: Graph, links: Tensor) -> None:
        self._is_exact(graph)

    def features(self, view: View, pairs: Tensor) -> Tensor:
        """The counts of each pair, (B, K(K + 2)) float64, without those over degrees."""
        return self._features(view, self._sketches(view), pairs)

    def get_extra_state(self) -> Tensor:
        """What ``counts=auto`` has come to."""
        return torch.tensor(-1 if self.exact is None else int(self.exact))

    def set_extra_state(self, state: Tensor) -> None:
        self.exact = None if int(state) < 0 else bool(state)

    def _score(self, h: Tensor, view: View, sketches: Sketches | None, pairs: Tensor) -> Tensor:
        if h.size(1) != len(self.f_pair) * self.hidden:
            raise RunnerError(
                f"model.embeddings={len(self.f_pair)}: the encoder gives embeddings of width "
                f"{h.size(1)}, not {len(self.f_pair)} times encoder.hidden={self.hidden}; with "
                "encoder.embedding give 2, to read none 0, else 1"
            )
        found = self._features(view, sketches, pairs)
        if self.normed:
            found = torch.cat([found, normed(found, view.graph.degree(), pairs)], dim=1)
        terms = [self.f_counts(found.to(self.head.weight.dtype))]
        if len(self.f_pair):
            product = pair_product(h, pairs)
            parts = product.split(self.hidden, dim=1)
            terms += [mlp(part) for mlp, part in zip(self.f_pair, parts, strict=True)]
        if self.heuristic is not None and self.norm is not None:
            score = self.heuristic(h, view, pairs).unsqueeze(1)
            terms.append(self.norm(score.to(self.head.weight.dtype)))
        return self.head(torch.cat(terms, dim=1)).squeeze(1)

    def _features(self, view: View, sketches: Sketches | None, pairs: Tensor) -> Tensor:
        check_pairs(view.graph, pairs)
        if sketches is None:
            counts = distance_counts(view.graph, pairs, self.hops)
        else:
            counts = estimated_counts(sketches, pairs)
        return distance_features(
            counts, arithmetic=self.arithmetic, zero_one=self.zero_one, floor=self.floor
        ).double()

    def _sketches(self, view: View) -> Sketches | None:
        """Those of the batch's graph; None where counts are exact."""
        if self._is_exact(view.whole):
            return None
        if view.structure is None:
            alone = None if view.nodes is None else sketch_nodes(view.nodes)
            return self._sketch(view.graph, alone)
        known = Sketches(**view.structure)
        if view.nodes is not None:
            known = known.take(view.nodes)
        if view.hidden is None:
            return known
        return self._sketch(view.graph, (known.minhash[0], known.registers[0]))

    def _sketch(self, graph: Graph, alone: tuple[Tensor, Tensor] | None = None) -> Sketches:
        needed, free = BYTES * graph.num_nodes * (self.hops + 1), psutil.virtual_memory().available
        if needed > free and graph.col.device.type == "cpu":
            raise RunnerError(
                f"model.counts=sketch: the sketches of {graph.num_nodes:,} nodes take "
                f"{needed / 2**30:.1f} GiB, and {free / 2**30:.1f} are free; give model.counts="
                "exact, or a smaller model.hops"
            )
        return sketch_balls(graph, self.hops, alone)

    def _is_exact(self, graph: Graph) -> bool:
        if self.exact is None:
            nodes = expected_ball(graph, self.hops)
            self.exact = nodes <= _LARGE
            log.info(
                "model.counts=auto: up to %s nodes lie within %d steps of the end of a link on "
                "average, so counts are %s",
                *(f"{nodes:,.0f}", self.hops, "exact" if self.exact else "estimated by sketches"),
            )
        return self.exact


def _block(linear: nn.Linear, *, dropout: float) -> MLP:
    return MLP(linear, BatchNorm(linear.out_features), nn.Dropout(dropout), nn.ReLU())
