"""An NCN that scores millions of pairs without gradient: many in turn, or within a completion."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.models.mlp import MLP
from runner.ops import backend
from runner.ops.aggregate import pair_product
from runner.ops.blocks import map_blocks
from runner.ops.csr import Graph
from runner.ops.overlap import sum_over_common_neighbours

if TYPE_CHECKING:
    from runner.models.ncn import NCN

_BLOCK_BYTES = 2**21  # of one matrix of a block of pairs: the few in use stay in the cache


class InnerNCN:
    """Scores pairs as :meth:`runner.models.ncn.NCN.score` does, several times faster.

    The first Linear of f_cn is applied to every node once, since it commutes with the sum over
    common neighbours; the last Linears of f_cn and f_pair are multiplied into the head's first.
    Pairs are scored in blocks small enough for the cache. Without dropout, pairs that have no
    common neighbour share the value of f_cn. A second sum of a relative is left out.

    Args:
        ncn: the predictor, whose weights are read now.
        h, x: (N, H) embeddings and what is pooled.
        dropout: with the predictor's dropout.
        dtype: what activations and Linears are rounded to; None for that of ``h``. Sums over
            neighbours, LayerNorms and the last Linear are not.

    Attributes:
        in_blocks: whether memory does not grow with the number of pairs, as on the CPU.
    """

    @torch.no_grad()
    def __init__(
        self, ncn: NCN, h: Tensor, x: Tensor, *, dropout: bool, dtype: torch.dtype | None = None
    ) -> None:
        h, x = backend.exact(h), backend.exact(x)
        self.dtype = h.dtype if dtype is None else dtype
        self.h = h.detach()
        self.dropout = dropout
        self.in_blocks = backend.compiled(h)
        self.block = max(1, _BLOCK_BYTES // (h.size(1) * h.element_size()))

        with self._without_autocast():
            self._take(ncn, x)

    def _take(self, ncn: NCN, x: Tensor) -> None:
        first, *f_cn = ncn.f_cn
        f_pair = list(ncn.f_pair)
        entry, *head, self.exit = ncn.head
        assert isinstance(first, nn.Linear) and isinstance(entry, nn.Linear)
        self.mapped, self.bias = F.linear(x, first.weight), first.bias.detach()
        of_first, factor, _ = ncn.factors()
        self.beta = of_first.detach()
        self.joined = not isinstance(f_pair[-1], nn.Linear)
        of_cn = of_pair = entry.weight.detach()
        bias = entry.bias.detach()
        if not self.joined:
            end_cn, end_pair = f_cn.pop(), f_pair.pop()
            assert isinstance(end_cn, nn.Linear) and isinstance(end_pair, nn.Linear)
            end = end_pair.weight, end_pair.bias
            weight, own = end if factor is None else (factor * end[0], factor * end[1])
            bias = bias + of_cn @ (self.beta * end_cn.bias + own)
            of_cn, of_pair = of_cn @ (self.beta * end_cn.weight), of_pair @ weight
        assert factor is None or not self.joined, "what is joined has no factor"
        self.entry = tuple(w.t().to(self.dtype) for w in (of_cn, of_pair, bias))
        self.begin_f_cn, self.f_cn = MLP(*f_cn[:2]), self._rounded(f_cn[2:])
        self.f_pair, self.head = self._rounded(f_pair), self._rounded(head)

    def _rounded(self, layers: Iterable[nn.Module]) -> MLP:
        """The same layers, Linears in the type of the activations."""
        return MLP(
            *(
                copy.deepcopy(layer).to(self.dtype)
                if isinstance(layer, nn.Linear) and layer.weight.dtype != self.dtype
                else layer
                for layer in layers
            )
        )

    @torch.no_grad()
    def __call__(self, graph: Graph, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B); best where those of a first node stand together."""
        with self._without_autocast():
            if not self.in_blocks:
                return self._score(graph, pairs, seed=0)
            blocks = pairs.split(self.block, dim=1)
            count = len(blocks)
            seeds = torch.randint(2**62, (count,)).tolist() if self.dropout else [0] * count
            return torch.cat(
                map_blocks(lambda b: self._score(graph, blocks[b], seed=seeds[b]), count)
            )

    def _without_autocast(self) -> torch.autocast:
        return torch.autocast(self.h.device.type, enabled=False)

    def _score(self, graph: Graph, pairs: Tensor, *, seed: int) -> Tensor:
        dropout = self.dropout
        pooled = self._of_common_neighbours(graph, pairs, seed)
        product = pair_product(self.h, pairs).to(self.dtype)
        product = self.f_pair.run(product, dropout=dropout, seed=seed + 200)
        of_cn, of_pair, bias = self.entry
        if self.joined:
            hidden = torch.addmm(bias, pooled.mul_(self.beta).add_(product), of_pair)
        else:
            hidden = torch.addmm(bias, pooled, of_cn).addmm_(product, of_pair)
        last = self.head.run(hidden, dropout=dropout, seed=seed + 300, overwrite=True)
        return self.exit(last.to(self.h.dtype)).squeeze(-1)

    def _of_common_neighbours(self, graph: Graph, pairs: Tensor, seed: int) -> Tensor:
        """f_cn without its last Linear, if it ends in one."""
        sums, counts = sum_over_common_neighbours(graph, pairs, self.mapped, start=self.bias)
        if self.dropout:
            return self._f_cn(sums, seed)
        some = counts.nonzero().squeeze(1)
        values = self._f_cn(self.bias.unsqueeze(0).clone(), seed).repeat(pairs.size(1), 1)
        return values.index_copy_(0, some, self._f_cn(sums[some], seed))

    def _f_cn(self, sums: Tensor, seed: int) -> Tensor:
        x = self.begin_f_cn.run(sums, dropout=self.dropout, seed=seed, overwrite=True)
        return self.f_cn.run(x.to(self.dtype), dropout=self.dropout, seed=seed + 100)
