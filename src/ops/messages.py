"""Reduce messages that depend on both ends of an entry, f(q_u + k_v), over the neighbours v of u.

Nothing of size (E, H) is made, forward or backward: a compiled kernel makes one message at a time,
and all else works on as many entries at a time as there are nodes, and again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from runner.ops import backend
from runner.ops.aggregate import by_node, gather
from runner.ops.csr import Adjacency, Graph
from runner.ops.kernels import messages as kernels
from runner.ops.kernels.parallel import array, parallel

Message = Callable[[Tensor, slice], Tensor]

_SMOOTH: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu, "silu": F.silu, "elu": F.elu, "tanh": torch.tanh
}  # fmt: skip


class Activation:
    """An activation of messages.

    Args:
        name: ``relu``, ``leaky_relu``, ``none``, ``gelu``, ``silu``, ``elu`` or ``tanh``.
        slope: below zero, of ``leaky_relu``.

    Attributes:
        slope: below zero, of those that are linear on both sides; None of others.
    """

    def __init__(self, name: str, slope: float = 0.2) -> None:
        self.slope = {"relu": 0.0, "leaky_relu": slope, "none": 1.0}.get(name)
        self._name = name

    def __call__(self, x: Tensor) -> Tensor:
        return _SMOOTH[self._name](x) if self.slope is None else F.leaky_relu(x, self.slope)


def pool_messages(
    query: Tensor,
    key: Tensor,
    graph: Adjacency,
    activation: Activation,
    *,
    weight: Tensor | None = None,
    scale: Tensor | None = None,
) -> Tensor:
    """Σ_v w_uv s_v a(q_u + k_v) over the neighbours v of each u, a being the activation.

    Differentiable in ``query`` and ``key``, bit-deterministic on the CPU for any number of threads.
    Activations with a slope have a kernel on the CPU.

    Args:
        query: (n, H) floating point, of the rows of the graph; of 16 bits, read as float32.
        key: (N, H), of all nodes.
        weight: (E,), a constant; None for ones.
        scale: (N,), a constant; None for ones.

    Returns:
        (n, H), zero where there is no neighbour.
    """
    query, key = backend.exact(query), backend.exact(key)
    weight = None if weight is None else weight.detach().to(key.dtype).contiguous()
    if activation.slope is not None and backend.compiled(key):
        own_transpose = isinstance(graph, Graph) and graph.symmetric and weight is None
        rows = graph.rowptr, graph.col, weight, scale
        given = query.contiguous(), key.contiguous()
        return _PoolBent.apply(*given, *rows, activation.slope, own_transpose)
    return reduce_messages(
        query, key, graph, lambda sums, _: activation(sums), weight=weight, scale=scale
    )


def reduce_messages(
    query: Tensor,
    key: Tensor,
    graph: Adjacency,
    message: Message,
    *,
    weight: Tensor | None = None,
    scale: Tensor | None = None,
    reduce: Literal["sum", "max"] = "sum",
) -> Tensor:
    """Σ_v w_uv s_v f(q_u + k_v), or max_v f(q_u + k_v); zero where there is no neighbour.

    For any f, which is computed once forward and once more in the backward pass. Entries are taken
    in chunks: those of a range of rows, about as many as there are nodes.

    Args:
        query, key, weight, scale: see :func:`pool_messages`; shares are for sums.
        message: f, of the sums (E', H) of a slice of the entries, and that slice.

    Returns:
        (n, H') of the width of f.
    """
    query, key = backend.exact(query), backend.exact(key)

    def of_rows(query: Tensor, key: Tensor, first: int) -> Tensor:
        rowptr = graph.rowptr[first : first + len(query) + 1]
        lists, entries = rowptr - rowptr[0], slice(int(rowptr[0]), int(rowptr[-1]))
        place = torch.arange(entries.stop - entries.start, device=lists.device)
        row = torch.searchsorted(lists, place, right=True) - 1
        node = graph.col[entries].long()
        made = backend.exact(message(gather(query, row) + gather(key, node), entries))
        share = None if weight is None else weight[entries]
        if scale is not None:
            share = scale[node] if share is None else share * scale[node]
        return F.embedding_bag(
            place, made, lists, mode=reduce, per_sample_weights=share, include_last_offset=True
        )

    again = partial(checkpoint, of_rows, use_reentrant=False, preserve_rng_state=False)
    bounds = _bounds(graph, key.size(0))
    parts = query.split([last - first for first, last in pairwise(bounds)])
    return torch.cat([again(part, key, first) for part, first in zip(parts, bounds, strict=False)])


def _bounds(graph: Adjacency, entries: int) -> list[int]:
    """Of ranges of rows with about as many entries each; at least one range."""
    steps = torch.arange(0, graph.num_entries, max(entries, 1), device=graph.rowptr.device)
    inner = torch.searchsorted(graph.rowptr, steps).unique().tolist()
    return [0, *(row for row in inner if 0 < row < graph.num_nodes), graph.num_nodes]


class _PoolBent(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        rowptr: Tensor,
        node: Tensor,
        weight: Tensor | None,
        scale: Tensor | None,
        slope: float,
        own_transpose: bool,
    ) -> Tensor:
        out = torch.empty_like(query)
        slopes = torch.empty_like(query) if ctx.needs_input_grad[0] else query.new_empty(0, 0)
        none = key.new_empty(0)
        number = array(key).dtype.type
        parallel(
            kernels.pool_bent,
            *(len(out), query, key, rowptr, node),
            *(none if weight is None else weight, none if scale is None else scale),
            *(number(slope), number(1), out, slopes),
            cost=2 * _cost(rowptr, node, key),
        )
        ctx.save_for_backward(query, key, rowptr, node, weight, scale, slopes)
        ctx.slope, ctx.own_transpose = slope, own_transpose
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, rowptr, node, weight, scale, slopes = ctx.saved_tensors
        grad = grad.contiguous()
        grad_query = grad * slopes if ctx.needs_input_grad[0] else None
        grad_key = None
        if ctx.needs_input_grad[1]:
            lists = rowptr, node, weight
            if not ctx.own_transpose:
                lists = by_node(*lists, len(key))
            grad_key = torch.empty_like(key)
            number = array(key).dtype.type
            parallel(
                kernels.pool_bent_gradient,
                *(len(key), grad, query, key, *lists[:2]),
                *(key.new_empty(0) if lists[2] is None else lists[2],),
                *(number(ctx.slope), number(1), grad_key),
                cost=2 * _cost(lists[0], node, key),
            )
            if scale is not None:
                grad_key *= scale.unsqueeze(1)
        return grad_query, grad_key, *[None] * 6


def _cost(rowptr: Tensor, node: Tensor, key: Tensor) -> float:
    """Of one list of average length."""
    return key.size(1) * (1 + node.numel() / max(1, rowptr.numel() - 1))
