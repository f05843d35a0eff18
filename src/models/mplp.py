"""MPLP: counts of neighbours by their distances, estimated by propagated signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from runner.keys import InConfig, Probability, Width
from runner.models.batch_norm import BatchNorm
from runner.models.mlp import MLP, ExactLinear
from runner.models.path_counts import SWAPPED, Numbers, PathCounts, keep
from runner.models.predictor import Predictor, View
from runner.models.signatures import Signatures
from runner.ops.aggregate import gather, pair_product
from runner.ops.csr import Graph
from runner.ops.overlap import check_pairs
from runner.ops.signatures import Propagated

_KEPT = 2**31  # bytes of sums that an evaluation keeps between its batches
_WEIGHT_WIDTH = 32


class MPLP(Predictor):
    """logit(u, v) = Linear([f(h_u ⊙ h_v) ‖ s(numbers of u and v)]) (arXiv 2309.00976).

    With signatures X, P = A X, Q = A P, R the sum of X over the nodes at distance two, and
    <a, b> the inner product of rows, the numbers are estimates of how many nodes are near both:

    - "combine" (MPLP): <P_u,P_v>, <P_u,R_v>, <R_u,P_v>, <R_u,R_v>, how many at distance one, and
      two, of one of them alone, <P_u,Q_v>, <Q_u,P_v>, <Q_u-d_u X_u, Q_v-d_v X_v>, <P_u,Q_u>,
      <P_v,Q_v>, and the degrees of u and v of distance one, and of two.
    - "prop_only" (MPLP+): without those of R; its walks stand for paths.
    - "exact": the first of "combine", both orders summed.
    - "precompute": those of "prop_only", Q less d X throughout, of the whole graph: a batch's own
      links too.

    f and s are blocks of Linear, BatchNorm, dropout, ReLU: two, and one.

    Args:
        hidden: width H of the embeddings.
        numbers: which.
        signatures: draws X.
        node_weight: ω of a node, by which its signature is multiplied: none, RA (ω² = 1/(d+1)),
            AA (ω² = 1/log(d+1)), mlp (1 + an MLP of embedding and degree).
        features: read the embeddings; else the numbers alone, and there is no encoder.
        combine: hadamard h_u ⊙ h_v, or plus_minus [h_u + h_v ‖ |h_u - h_v|].
        symmetric: the mean of s over both orders of a pair; false is the release, to which (u, v)
            and (v, u) are two pairs.
        feature_dropout, number_dropout: before the ReLUs of f, and of s.
        affine: BatchNorms scale and shift.

    Raises:
        ValueError: if a choice is unknown or has no effect, or "precompute" is to have learned
            weights.
    """

    common_neighbours = "term"

    def __init__(
        self,
        *,
        signatures: InConfig[Signatures] | None = None,
        hidden: InConfig[Width] = 64,
        numbers: InConfig[Numbers] = "combine",
        node_weight: InConfig[Literal["none", "RA", "AA", "mlp"]] = "none",
        features: InConfig[bool] = True,
        combine: InConfig[Literal["hadamard", "plus_minus"]] = "hadamard",
        symmetric: InConfig[bool] = True,
        feature_dropout: InConfig[Probability] = 0.5,
        number_dropout: InConfig[Probability] = 0.5,
        affine: InConfig[bool] = True,
    ) -> None:
        super().__init__()
        for name, value, known in (
            ("numbers", numbers, tuple(SWAPPED)),
            ("node_weight", node_weight, ("none", "RA", "AA", "mlp")),
            ("combine", combine, ("hadamard", "plus_minus")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
        if numbers == "precompute" and node_weight == "mlp":
            raise ValueError(
                "numbers=precompute sums signatures once, and node_weight=mlp learns their "
                "weights; take numbers=prop_only, or node_weight=RA"
            )
        if combine == "plus_minus" and not features:
            raise ValueError("combine=plus_minus has no effect with features=false; leave it out")
        self.signatures = signatures or Signatures()
        self.numbers = numbers
        self.node_weight = node_weight
        self.reads_embeddings = features
        self.combine = combine
        self.symmetric = symmetric
        count = len(SWAPPED[numbers])
        width = hidden if features else 0
        self.f = self.weigh = None
        if features:
            first = width * (2 if combine == "plus_minus" else 1)
            self.f = MLP(
                *_block(nn.Linear(first, width), dropout=feature_dropout, affine=affine),
                *_block(nn.Linear(width, width), dropout=feature_dropout, affine=affine),
            )
        if node_weight == "mlp":
            self.weigh = MLP(
                *_block(
                    ExactLinear(width + 1, _WEIGHT_WIDTH), dropout=feature_dropout, affine=affine
                ),
                ExactLinear(_WEIGHT_WIDTH, 1),
            )
        self.s = MLP(*_block(ExactLinear(count, count), dropout=number_dropout, affine=affine))
        self.head = ExactLinear(width + count, 1)

    @property
    def reach(self) -> int:  # type: ignore[override]
        """Steps from a pair: those of Q, and one more where the degrees of its nodes count."""
        if self.numbers == "precompute":
            return 0
        return 2 + (self.node_weight != "none" or self.signatures.hubs_from is not None)

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H).

        Raises:
            RunnerError: if the nodes at distance two, or the hubs, are too many.
        """
        return self._logits(h, pairs, self.count(h, view, pairs))

    def scorer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Tensor]:
        seen = View.of(view)
        if torch.is_grad_enabled() or self.training or self.numbers == "precompute":
            return super().scorer(h, seen)
        counts = self._counts(h, seen)
        kept = keep(counts.tables(), _KEPT)

        def score(pairs: Tensor) -> Tensor:
            check_pairs(seen.graph, pairs)
            return self._logits(h, pairs, counts.of_pairs(pairs, kept).to(h.dtype))

        return score

    def count(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """The numbers of every pair, (B, 15), (B, 8) or (B, 5)."""
        check_pairs(view.graph, pairs)
        if self.numbers != "precompute":
            return self._counts(h, view, pairs).of_pairs(pairs).to(h.dtype)
        kept: Any = self.structure(view.whole) if view.structure is None else view.structure
        tables = [(Propagated(x, p, q, x[:, :0]), scale) for x, p, q, scale in kept]
        nodes = pairs if view.nodes is None else view.nodes[pairs]
        return self._precomputed(view.whole).of_pairs(nodes, tables).to(h.dtype)

    def structure(self, graph: Graph) -> list[tuple[Tensor, Tensor, Tensor, float]] | None:
        """Of "precompute" the sums of all columns; of a batch's links too."""
        if self.numbers != "precompute":
            return None
        tables = self._precomputed(graph).tables()
        return [(table.x, table.p, table.q, scale) for table, scale in tables]

    def _precomputed(self, graph: Graph) -> PathCounts:
        none = torch.empty(graph.num_nodes, 0, device=graph.col.device)
        weight = self.weights(none, graph.degree())
        draw = self.signatures.seed
        return PathCounts.of(self.numbers, self.signatures, graph, draw=draw, weight=weight)

    def _counts(self, h: Tensor, view: View, pairs: Tensor | None = None) -> PathCounts:
        weight = self.weights(h, view.graph.degree())
        return PathCounts.of(
            self.numbers, self.signatures, view.graph,
            draw=self.signatures.draw(), ids=view.nodes, weight=weight, pairs=pairs,
        )  # fmt: skip

    def weights(self, h: Tensor, degree: Tensor) -> Tensor | None:
        """ω of every node, (N,); None for ones."""
        if self.weigh is not None:
            degrees = degree.to(h.dtype).unsqueeze(1)
            given = torch.cat([h, degrees], dim=1) if self.reads_embeddings else degrees
            return 1 + self.weigh(given).squeeze(1)
        if self.node_weight == "none":
            return None
        degree = degree.clamp(min=1).to(h.dtype) + 1  # nobody sums a node without neighbours
        return (degree if self.node_weight == "RA" else degree.log()).rsqrt()

    def _logits(self, h: Tensor, pairs: Tensor, numbers: Tensor) -> Tensor:
        if self.symmetric:
            both = torch.cat([numbers, numbers[:, SWAPPED[self.numbers]]])
            of_numbers = torch.stack(self.s(both).chunk(2)).mean(0)
        else:
            of_numbers = self.s(numbers)
        if self.f is None:
            return self.head(of_numbers).squeeze(-1)
        if self.combine == "hadamard":
            pair = pair_product(h, pairs)
        else:
            u, v = gather(h, pairs[0]), gather(h, pairs[1])
            pair = torch.cat([u + v, (u - v).abs()], dim=1)
        return self.head(torch.cat([self.f(pair), of_numbers], dim=1)).squeeze(-1)


def _block(linear: nn.Linear, *, dropout: float, affine: bool) -> list[nn.Module]:
    norm = BatchNorm(linear.out_features, affine=affine)
    return [linear, norm, nn.Dropout(dropout), nn.ReLU()]
