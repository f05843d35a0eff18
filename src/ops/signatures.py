"""Signatures of nodes, their sums over neighbours, and the inner products of these.

Rows of signatures are nearly orthogonal, so that an inner product of two sums of them is about the
number of nodes in both (MPLP, Dong et al. 2024, arXiv 2309.00976).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from runner.ops import backend
from runner.ops.aggregate import gather, pool
from runner.ops.csr import Adjacency
from runner.ops.hash import mix
from runner.ops.kernels import signatures as kernels
from runner.ops.kernels.parallel import parallel
from runner.ops.kernels.pool import pool_sum

PRODUCTS = 9
"""<P_u,P_v>, <P_u,Q_v>, <Q_u,P_v>, <Q_u-dX_u,Q_v-dX_v>, <P_u,Q_u>, <P_v,Q_v>, <P_u,R_v>,
<R_u,P_v>, <R_u,R_v>."""

_WORD = 64  # signs of one hash


@dataclass(frozen=True, eq=False)
class Propagated:
    """Some columns of the signatures of all nodes, and of their sums.

    Shapes:
        - ``x``: (N, c), the signatures
        - ``p``: (N, c), their sums over neighbours
        - ``q``: (N, c), the sums of ``p`` over neighbours; (N, 0) where nobody asks
        - ``r``: (N, c), the sums of ``x`` over the nodes of other lists; (N, 0) where nobody asks
    """

    x: Tensor
    p: Tensor
    q: Tensor
    r: Tensor

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(part.nbytes for part in (self.x, self.p, self.q, self.r))

    def without_own(self, degree: Tensor) -> Propagated:
        """With q less the part that a node's own signature has in it: as often as its degree."""
        own = degree.to(self.q.dtype).unsqueeze(1) * self.x
        return replace(self, q=self.q - own)


def random_signs(seed: int, nodes: Tensor, first: int, count: int) -> Tensor:
    """±1, (n, count) int8, a function of the seed, of each node's id and of the column.

    Args:
        nodes: (n,) int64, ids.
        first: the first column, a multiple of 64.
    """
    if backend.compiled(nodes):
        out = torch.empty(nodes.numel(), count, dtype=torch.int8)
        parallel(kernels.random_signs, len(out), seed, nodes.contiguous(), first, out, cost=count)
        return out
    words = torch.arange(-(-count // _WORD), device=nodes.device) + first // _WORD
    of_word = torch.arange(_WORD, device=nodes.device)
    bits = mix(seed, nodes.unsqueeze(1), words).unsqueeze(2) >> of_word & 1
    return (1 - 2 * bits).flatten(1)[:, :count].to(torch.int8)


def propagate_signatures(
    x: Tensor, graph: Adjacency, *, twice: bool = True, lists: Adjacency | None = None
) -> Propagated:
    """Sum signatures over neighbours.

    Args:
        x: (N, c), integers, whose sums are exact, or floating point, then differentiable.
        twice: sum the sums too.
        lists: of every node, others to sum the signatures of.
    """
    whole = not x.is_floating_point()
    if whole and not backend.compiled(graph.col):
        x = x.float()
    degree = graph.degree()
    none = x.new_zeros(x.size(0), 0)
    p = _sum(x, graph, degree)
    q = r = none
    if twice:
        walks = degree
        if whole:
            walks = pool(degree.double().unsqueeze(1), graph.rowptr, graph.col).squeeze(1)
        q = _sum(p, graph, walks)
    if lists is not None:
        r = _sum(x, lists, lists.degree())
    return Propagated(x, p, q, r)


def _sum(x: Tensor, lists: Adjacency, most: Tensor) -> Tensor:
    """Of integers into the narrowest type that holds the largest of these bounds."""
    if x.is_floating_point():
        return pool(x, lists.rowptr, lists.col)
    bound = float(most.max()) if most.numel() else 0.0
    out = torch.empty(x.shape, dtype=torch.int16 if bound < 2**15 else torch.int32)
    cost = x.size(1) * (1 + lists.num_entries / max(1, len(out)))
    parallel(pool_sum, len(out), x, lists.rowptr, lists.col, x.new_empty(0), out, cost=cost)
    return out


def inner_products(given: Propagated, pairs: Tensor, degree: Tensor) -> Tensor:
    """The PRODUCTS of every pair, (B, 9); zero where q or r were not asked for.

    They are float64, of integers exact below 2^53; where the signatures need a gradient they have
    the signatures' own type.

    Args:
        pairs: (2, B) int64.
        degree: (N,), how many times a node's own signature is taken from its q.
    """
    x, p, q, r = given.x, given.p, given.q, given.r
    differentiable = torch.is_grad_enabled() and p.requires_grad
    if backend.compiled(x, torch.int8) and not differentiable:
        out = torch.zeros(pairs.size(1), PRODUCTS, dtype=torch.float64)
        u, v = pairs.contiguous()
        tables = u, v, x, p, q, r, degree.contiguous()
        parallel(kernels.products, len(out), *tables, out, cost=PRODUCTS * p.size(1))
        return out
    wide = p.dtype if differentiable else torch.float64
    around = q - degree.to(p.dtype).unsqueeze(1) * x if q.size(1) else q

    def product(left: Tensor, right: Tensor, first: int = 0, second: int = 1) -> Tensor:
        if not left.size(1) or not right.size(1):
            return torch.zeros(pairs.size(1), dtype=wide, device=pairs.device)
        one, other = gather(left, pairs[first]), gather(right, pairs[second])
        return (one.to(wide) * other.to(wide)).sum(1)

    found = [
        product(p, p), product(p, q), product(q, p), product(around, around),
        product(p, q, 0, 0), product(p, q, 1, 1),
        product(p, r), product(r, p), product(r, r),
    ]  # fmt: skip
    return torch.stack(found, dim=1)
