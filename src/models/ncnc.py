"""NCNC: NCN whose neighbourhoods are completed by an inner NCN first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.completion import Completion
from models.inner import InnerNCN
from models.ncn import NCN
from ops.aggregate import pair_product, pool
from ops.csr import Graph
from ops.overlap import neighbourhoods

_PAIR_BYTES = 64  # of a pair or a neighbour in lists: ids, list, position, logit, weight
_MATRICES = 6  # of the width of the embeddings, at the most at a time


class NCNC(nn.Module):
    """Neural common neighbour with completion of Wang et al. (2024).

    NCN with P(v, w) x_w pooled over w ∈ N(u) \\ N(v) and P(u, w) x_w over w ∈ N(v) \\ N(u) as well;
    P is :class:`~models.completion.Completion` of the same NCN's logit, without gradient. At depth
    2 (NCNC-2) it is that of the logit of an NCNC of depth 1 with the same weights, and so on.

    As in the release, the inner predictor receives x = h + g(h) as its embedding: g acts twice
    there, and the inner pair product is x_u ⊙ x_v.

    As in the release, in training the inner predictor runs with dropout, and edge dropout is drawn
    again on the thinned graph for every side and chunk; g, though, is drawn once for all of them.
    With ``completion.dropout`` off, it scores as in evaluation, on the outer pairs' graph; h and x,
    which it starts from, have had their own dropout.

    Args:
        completion: the completion stage.
        depth: how many times neighbourhoods are completed, at least 1.

    The other arguments are those of :class:`~models.ncn.NCN`.
    """

    def __init__(
        self,
        *,
        hidden: int,
        dropout: float,
        edge_dropout: float,
        node_transform: bool,
        last_linear: bool,
        two_layer_head: bool,
        layer_norm: bool,
        completion: Completion,
        depth: int = 1,
        beta: float = 1.0,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}; without completion use ncn")
        self.depth = depth
        self.ncn = NCN(
            hidden=hidden,
            dropout=dropout,
            edge_dropout=edge_dropout,
            node_transform=node_transform,
            last_linear=last_linear,
            two_layer_head=two_layer_head,
            layer_norm=layer_norm,
            beta=beta,
        )
        self.completion = completion

    def forward(self, h: Tensor, graph: Graph, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H)."""
        embeddings = [h, self.ncn.transform(h)]
        with torch.no_grad():
            for _ in range(self.depth):
                embeddings.append(self.ncn.transform(embeddings[-1], dropout=self._inner_dropout))
        innermost = InnerNCN(
            self.ncn,
            *embeddings[-2:],
            dropout=self._inner_dropout,
            dtype=self.completion.precision,
        )
        pools = self._pools(embeddings[:-1], innermost, self.ncn.thin(graph), pairs)
        del embeddings, innermost  # as large as the graph, and of no more use
        return self.ncn.combine(*pools)

    @property
    def _inner_dropout(self) -> bool:
        return self.training and self.completion.dropout

    def _logit(
        self, embeddings: Sequence[Tensor], innermost: InnerNCN, graph: Graph, pairs: Tensor
    ) -> Tensor:
        """Logits, (B,), on a thinned graph.

        ``embeddings`` are h and x of this level, then the x of every level down to the innermost,
        at which h is all that is left of them.
        """
        if len(embeddings) == 1:
            return innermost(graph, pairs)
        return self.ncn.combine(*self._pools(embeddings, innermost, graph, pairs))

    def _pools(
        self, embeddings: Sequence[Tensor], innermost: InnerNCN, graph: Graph, pairs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The sums over the completed neighbourhoods, and the pair products; (B, H)."""
        h, x = embeddings[:2]
        common, only_u, only_v = neighbourhoods(graph, pairs)
        pooled = pool(x, common.rowptr, common.node)
        product = pair_product(h, pairs)

        def inner_logit(inner_pairs: Tensor) -> Tensor:
            thinned = self.ncn.thin(graph) if self._inner_dropout else graph
            return self._logit(embeddings[1:], innermost, thinned, inner_pairs)

        sampled_below = len(embeddings) > 2 and self.completion.keep is not None
        each_once = not (self._inner_dropout or sampled_below)
        completed = self.completion(
            inner_logit,
            [(pairs[1], only_u), (pairs[0], only_v)],
            self.completion.log_prior(product),
            bytes_a_pair=self._bytes_a_pair(graph, x, innermost if len(embeddings) == 2 else None),
            each_once=graph.num_nodes if each_once else None,
        )
        for kept, weight in completed:
            pooled = pooled + pool(x, kept.rowptr, kept.node, weight=weight)
        return pooled, product

    def _bytes_a_pair(self, graph: Graph, x: Tensor, innermost: InnerNCN | None) -> float:
        """Memory that an inner pair takes, about, when all of a chunk are scored at once."""
        if innermost is not None and innermost.in_blocks:
            return _PAIR_BYTES
        degree = graph.degree().double()
        neighbours = 2 * float(degree.square().sum() / max(1.0, float(degree.sum())))
        return _PAIR_BYTES + _MATRICES * x.size(1) * x.element_size() + _PAIR_BYTES * neighbours
