"""How many nodes lie around a node, and around both of a pair, estimated from small sketches.

Two sketches of each set: MinHash, by which two sets are alike, and HyperLogLog, by which a set, or
the union of two, is large. That of a ball is made of those of the neighbours' smaller balls. As
BUDDY (Chamberlain et al. 2023, arXiv 2209.15486), whose sketches these are bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from runner.ops import backend
from runner.ops.aggregate import pool
from runner.ops.csr import Graph
from runner.ops.distance_counts import DistanceCounts
from runner.ops.hash import finalise
from runner.ops.kernels import sketches as kernels
from runner.ops.kernels.parallel import parallel

MINIMA, REGISTERS = 128, 256
BYTES = 4 * MINIMA + REGISTERS  # of the sketches of one ball
_PRIME, _MOST = np.uint64(2**61 - 1), np.uint64(2**32 - 1)
_ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)
_CHUNK = 8192  # pairs that the plain form compares at a time


@dataclass(frozen=True, eq=False)
class Sketches:
    """Of the closed balls around each node; hop 0 is the node alone.

    Shapes:
        - ``minhash``: (K + 1, N, 128) int32, 2^31 - 1 - x of each minimum x of 32 bits, so that
          here too the largest counts
        - ``registers``: (K + 1, N, 256) int8
        - ``sizes``: (N, K) float64, estimated sizes of the balls of 1 to K steps
    """

    minhash: Tensor
    registers: Tensor
    sizes: Tensor

    def take(self, nodes: Tensor) -> Sketches:
        """Those of ``nodes``, (n,) int64, in this order."""
        return Sketches(self.minhash[:, nodes], self.registers[:, nodes], self.sizes[nodes])


def sketch_nodes(nodes: Tensor) -> tuple[Tensor, Tensor]:
    """The sketches of single nodes, which are functions of their ids, (n,) int64, alone.

    Returns:
        Minima, (n, 128), and registers, (n, 256), as in :class:`Sketches`.
    """
    value = finalise(nodes.cpu() + 1).numpy().view(np.uint64)
    minhash = np.empty((len(value), MINIMA), np.int32)
    for column, (a, b) in enumerate(_permutations()):
        minhash[:, column] = 2**31 - 1 - ((a * value + b) % _PRIME & _MOST).astype(np.int64)
    registers = np.zeros((len(value), REGISTERS), np.int8)
    rest = value >> np.uint64(8)  # 56 bits, of which a float64 holds a half exactly
    high, low = rest >> np.uint64(28), rest & np.uint64(2**28 - 1)
    bits = np.where(high > 0, 28 + np.frexp(high)[1], np.frexp(low)[1])
    registers[np.arange(len(value)), value & np.uint64(255)] = 57 - bits
    device = nodes.device
    return torch.from_numpy(minhash).to(device), torch.from_numpy(registers).to(device)


def sketch_balls(graph: Graph, hops: int, alone: tuple[Tensor, Tensor] | None = None) -> Sketches:
    """The sketches of the balls of every node.

    Args:
        alone: the :func:`sketch_nodes` of the nodes, where they are not those of 0 to N - 1.
    """
    if alone is None:
        alone = sketch_nodes(torch.arange(graph.num_nodes, device=graph.col.device))
    found = []
    for single in alone:
        balls = single.new_empty(hops + 1, *single.shape)
        balls[0] = single
        for hop in range(hops):
            _spread(graph, balls[hop], balls[hop + 1])
        found.append(balls)
    minhash, registers = found
    nodes = torch.arange(graph.num_nodes, device=graph.col.device)
    sizes = [
        _sizes(*_compare(minhash[k : k + 1], registers[k : k + 1], nodes, nodes)[1:]).flatten()
        for k in range(1, hops + 1)
    ]
    return Sketches(minhash, registers, torch.stack(sizes, dim=1))


def estimated_counts(sketches: Sketches, pairs: Tensor) -> DistanceCounts:
    """Estimate what :func:`~runner.ops.distance_counts.distance_counts` counts, float64.

    The intersection of two balls is the share of equal minima times the size of the union, so that
    differences of counts may come out negative.

    Args:
        pairs: (2, B) int64, rows of the sketches.
    """
    u, v = pairs.contiguous()
    equal, *union = _compare(sketches.minhash[1:], sketches.registers[1:], u, v)
    shared = equal.double() / MINIMA * _sizes(*union)
    return DistanceCounts(shared, sketches.sizes[u], sketches.sizes[v])


def _spread(graph: Graph, values: Tensor, out: Tensor) -> None:
    if backend.compiled(values, torch.int8):
        cost = values.size(1) * (1 + graph.num_entries / max(1, graph.num_nodes)) / 8
        given = graph.rowptr, graph.col, values, out
        parallel(kernels.spread, graph.num_nodes, *given, cost=cost)
        return
    around = pool(values.double(), graph.rowptr, graph.col, reduce="max").to(values.dtype)
    out.copy_(torch.where(graph.degree().unsqueeze(1) > 0, torch.maximum(values, around), values))


def _compare(
    minhash: Tensor, registers: Tensor, u: Tensor, v: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Equal minima, and of the union's registers the sum of powers and the zeros: (B, K, K)."""
    hops = minhash.size(0)
    power = torch.arange(64, dtype=torch.float64, device=u.device).neg().exp2()
    equal, empty = torch.empty(2, u.numel(), hops, hops, dtype=torch.int64, device=u.device)
    total = power.new_empty(u.numel(), hops, hops)
    if backend.compiled(minhash):
        given = minhash, registers, u, v, power, equal, total, empty
        parallel(kernels.compare, u.numel(), *given, cost=hops * hops * REGISTERS)
        return equal, total, empty
    for part in torch.arange(u.numel(), device=u.device).split(_CHUNK):
        for i in range(hops):
            for j in range(hops):
                equal[part, i, j] = (minhash[i, u[part]] == minhash[j, v[part]]).sum(1)
                union = torch.maximum(registers[i, u[part]], registers[j, v[part]])
                total[part, i, j] = power[union.long()].sum(1)
                empty[part, i, j] = (union == 0).sum(1)
    return equal, total, empty


def _sizes(total: Tensor, empty: Tensor) -> Tensor:
    """HyperLogLog++ (Heule, Nunkesser and Hall 2013) from sums of powers and empty registers."""
    threshold, middles, bias = _bias()
    raw = _ALPHA * REGISTERS**2 / total
    nearest = torch.searchsorted(middles.to(raw.device), raw)
    corrected = torch.where(raw <= 5 * REGISTERS, raw - bias.to(raw.device)[nearest], raw)
    linear = REGISTERS * torch.log(REGISTERS / empty.double())
    return torch.where(linear <= threshold, linear, corrected)


@cache
def _bias() -> tuple[int, Tensor, Tensor]:
    """Up to where empty registers are counted; and of each six of the table that follow one
    another, below which estimate they are the nearest ones, and their mean bias."""
    from datasketch import hyperloglog_const as tables

    of = int(np.log2(REGISTERS)) - 4
    raw, bias = (
        torch.tensor(table[of], dtype=torch.float32).double()
        for table in (tables._raw_estimate, tables._bias)
    )
    return tables._thresholds[of], (raw[:-6] + raw[6:]) / 2, bias.unfold(0, 6, 1).mean(1)


@cache
def _permutations() -> list[tuple[np.uint64, np.uint64]]:
    """Factor and summand of each; products and sums wrap around at 64 bits."""
    chance = np.random.RandomState(1)

    def draw(lowest: int) -> np.uint64:
        return np.uint64(chance.randint(lowest, 2**61 - 1, dtype=np.uint64))

    return [(draw(1), draw(0)) for _ in range(MINIMA)]
