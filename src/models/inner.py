"""The inner predictor of a completion: an NCN that scores millions of pairs without gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.mlp import MLP
from models.ncn import NCN
from ops import backend
from ops.aggregate import pair_product
from ops.blocks import map_blocks
from ops.csr import Graph
from ops.overlap import sum_over_common_neighbours

_BLOCK_BYTES = 2**21  # of one matrix of a block of pairs: the few in use stay in the cache


class InnerNCN:
    """Scores pairs as :meth:`models.ncn.NCN.score` does, several times faster.

    The first Linear of f_cn is applied to every node once, since it commutes with the sum over
    common neighbours; pairs are scored in blocks small enough for the cache. Without dropout, pairs
    that have no common neighbour share the value of f_cn.

    Args:
        ncn: the predictor, whose weights are read now.
        h, x: (N, H) embeddings and what is pooled.
        dropout: with the predictor's dropout.

    Attributes:
        in_blocks: whether memory does not grow with the number of pairs, as on the CPU.
    """

    def __init__(self, ncn: NCN, h: Tensor, x: Tensor, *, dropout: bool) -> None:
        first, *others = ncn.f_cn
        assert isinstance(first, nn.Linear)
        with torch.no_grad():
            self.mapped = x @ first.weight.t()
        self.bias = first.bias.detach()
        self.ncn = ncn
        self.f_cn = MLP(*others)
        self.h = h.detach()
        self.dropout = dropout
        self.in_blocks = backend.compiled(h)
        self.block = max(1, _BLOCK_BYTES // (h.size(1) * h.element_size()))

    @torch.no_grad()
    def __call__(self, graph: Graph, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B); best where those of a first node stand together."""
        if not self.in_blocks:
            return self._score(graph, pairs, seed=0)
        blocks = pairs.split(self.block, dim=1)
        seeds = torch.randint(2**62, (len(blocks),)).tolist() if self.dropout else [0] * len(blocks)
        return torch.cat(
            map_blocks(lambda b: self._score(graph, blocks[b], seed=seeds[b]), len(blocks))
        )

    def _score(self, graph: Graph, pairs: Tensor, *, seed: int) -> Tensor:
        ncn, dropout = self.ncn, self.dropout
        joint = self._of_common_neighbours(graph, pairs, seed).mul_(ncn.beta)
        product = pair_product(self.h, pairs)
        joint += ncn.f_pair.run(product, dropout=dropout, seed=seed + 100)
        return ncn.head.run(joint, dropout=dropout, seed=seed + 200).squeeze(-1)

    def _of_common_neighbours(self, graph: Graph, pairs: Tensor, seed: int) -> Tensor:
        sums, counts = sum_over_common_neighbours(graph, pairs, self.mapped, start=self.bias)
        f_cn = self.f_cn
        if self.dropout:
            return f_cn.run(sums, dropout=True, seed=seed)
        some = counts.nonzero().squeeze(1)
        values = f_cn.run(self.bias.unsqueeze(0), dropout=False).repeat(pairs.size(1), 1)
        return values.index_copy_(0, some, f_cn.run(sums[some], dropout=False))
