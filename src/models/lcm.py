"""A learned commutative monoid: what combines the rows of a list in the place of their sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from runner.errors import RunnerError
from runner.keys import InConfig, NotNegative, Width
from runner.models.convolution import Convolution
from runner.ops.aggregate import gather
from runner.ops.backend import exact
from runner.ops.bipartite import first_rows
from runner.ops.csr import Adjacency, entries_of
from runner.ops.pairs import split_by
from runner.ops.tree import reduce_lists

Order = Literal["sorted", "random"]
Identity = Literal["zero", "learned"]
_ENTRIES = 2**15  # rows that are reduced at a time, each with some twelve of H in the cell


class LCM(nn.Module):
    """x1 ⊕ … ⊕ xn in a balanced tree, x ⊕ y = ½ (GRU(x; y) + GRU(y; x)).

    Learnable commutative monoid of Ong and Veličković (2022, arXiv 2212.08541); the cell is that of
    PyTorch Geometric's ``LCMAggregation``, input first, state second. ⊕ is commutative to the bit
    and associative only as far as it has learned to be, so that the order of a list counts. Each
    list has a tree of its own: unlike there, no list is padded to the length of another.

    Args:
        hidden: width H of the cell.
        in_features: of the rows; None for ``hidden``.
        project: map rows by ReLU(Linear) first.
        order: "sorted" takes lists as they come, which is by node id; "random" draws an order of
            each list in every training step, from torch's default generator, and evaluates sorted.
        identity: what an empty list gives: "zero", or a "learned" row, which starts from zero.
        associativity: weight of a loss term, the mean of ‖(x ⊕ y) ⊕ z - x ⊕ (y ⊕ z)‖² over the
            first three rows of each list that has as many.

    Raises:
        ValueError: if widths differ without ``project``, or a value is unknown.
    """

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 64,
        in_features: Width | None = None,
        project: InConfig[bool] = False,
        order: InConfig[Order] = "sorted",
        identity: InConfig[Identity] = "zero",
        associativity: InConfig[NotNegative] = 0.0,
    ) -> None:
        super().__init__()
        for name, value, among in (
            ("order", order, ("sorted", "random")),
            ("identity", identity, ("zero", "learned")),
        ):
            if value not in among:
                raise ValueError(f"{name} must be {' or '.join(among)}, got {value!r}")
        width = hidden if in_features is None else in_features
        if width != hidden and not project:
            raise ValueError(
                f"in_features={width} and hidden={hidden} differ; give project=true, which maps"
            )
        self.order = order
        self.associativity = associativity
        self.map = nn.Linear(width, hidden) if project else None
        self.cell = nn.GRUCell(hidden, hidden)
        self.identity = nn.Parameter(torch.zeros(hidden)) if identity == "learned" else None
        self._defect: Tensor | None = None

    def combine(self, x: Tensor, y: Tensor) -> Tensor:
        """x ⊕ y, (P, H) each."""
        return (self.cell(x, y) + self.cell(y, x)) / 2

    def forward(self, x: Tensor, rowptr: Tensor, node: Tensor) -> Tensor:
        """Reduce the rows ``x[node]`` of every list.

        Args:
            x: (N, in_features) floating point; of 16 bits, it is read as float32.
            rowptr: (B + 1,) int64, list ``b`` is ``node[rowptr[b]:rowptr[b + 1]]``.
            node: (nnz,) int64 or int32.

        Returns:
            (B, H)
        """
        x, node = exact(x), node.long()
        with torch.autocast(x.device.type, enabled=False):
            if self.map is not None:
                x = self.map(x).relu()
            if self.training and self.order == "random":
                node = _shuffled(rowptr, node)
            if self.training and self.associativity > 0:
                self._defect = self._difference(x, rowptr, node)
            return self._reduce(x, rowptr, node)

    def without_each(self, x: Tensor, node: Tensor, absent: Tensor) -> Tensor:
        """One list without each of some of its nodes in turn.

        Args:
            x: (N, in_features).
            node: (n,) int64, ascending.
            absent: (k,) int64, nodes of the list.

        Returns:
            (k, H)
        """
        places = torch.arange(node.numel(), device=node.device)
        kept = places != torch.searchsorted(node, absent).unsqueeze(1)
        rowptr = torch.arange(absent.numel() + 1, device=node.device) * (node.numel() - 1)
        return self(x, rowptr, node.expand_as(kept)[kept])

    def loss_terms(self) -> Mapping[str, Tensor]:
        """The loss term of the lists just reduced, in training."""
        defect, self._defect = self._defect, None
        return {} if defect is None else {"associativity": self.associativity * defect}

    def _reduce(self, x: Tensor, rowptr: Tensor, node: Tensor) -> Tensor:
        empty = x.new_zeros(self.cell.hidden_size) if self.identity is None else self.identity

        def reduce_some(x: Tensor, rowptr: Tensor, node: Tensor) -> Tensor:
            return reduce_lists(gather(x, node), rowptr, self.combine, empty=empty)

        lists = torch.arange(rowptr.numel() - 1, device=rowptr.device).unsqueeze(0)
        blocks = split_by(lists, rowptr.diff(), _ENTRIES)
        if len(blocks) == 1:
            return reduce_some(x, rowptr, node)
        reduced = []
        for (block,) in blocks:
            of_block, entry = entries_of(rowptr, block)
            given = (x, of_block, node[entry])
            if torch.is_grad_enabled():
                reduced.append(checkpoint(reduce_some, *given, use_reentrant=False))
            else:
                reduced.append(reduce_some(*given))
        return torch.cat(reduced)

    def _difference(self, x: Tensor, rowptr: Tensor, node: Tensor) -> Tensor:
        begin = rowptr[:-1][rowptr.diff() >= 3]
        a, b, c = (gather(x, node[begin + place]) for place in range(3))
        apart = self.combine(self.combine(a, b), c) - self.combine(a, self.combine(b, c))
        return apart.square().sum() / max(1, begin.numel())


def _shuffled(rowptr: Tensor, node: Tensor) -> Tensor:
    """The nodes of each list in a random order."""
    lists = torch.arange(rowptr.numel() - 1, device=node.device)
    target = torch.repeat_interleave(lists, rowptr.diff(), output_size=node.numel())
    drawn = torch.rand(node.numel(), dtype=torch.float64).to(node.device)
    return node[(target + drawn).argsort(stable=True)]


class LCMConvolution(Convolution):
    """W1 LCM(neighbours) + W2 x + b, as :class:`~runner.models.convolution.SAGE` with another mean.

    The monoid maps its rows to ``out_features`` first. A weight has no meaning: nothing is added
    that it could scale.

    Args:
        order, identity, associativity: of :class:`LCM`.
    """

    takes_weights = False

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        order: Order = "sorted",
        identity: Identity = "zero",
        associativity: float = 0.0,
    ) -> None:
        super().__init__(in_features, out_features)
        self.neighbours = LCM(
            in_features=in_features,
            hidden=out_features,
            project=True,
            order=order,
            identity=identity,
            associativity=associativity,
        )
        self.linear = nn.Linear(out_features, out_features)
        self.own = nn.Linear(in_features, out_features, bias=False)

    def forward(self, x: Tensor, graph: Adjacency, weight: Tensor | None = None) -> Tensor:
        if weight is not None:
            raise RunnerError(
                "encoder.convolution: a learned monoid combines messages and cannot weigh them; "
                "give encoding=full or encoding=local, and an objective that weighs no links"
            )
        reduced = self.neighbours(x, graph.rowptr, graph.col)
        return self.linear(reduced) + self.own(first_rows(x, graph.num_nodes))

    def loss_terms(self) -> Mapping[str, Tensor]:
        return self.neighbours.loss_terms()


def lcm_convolution(
    *,
    order: InConfig[Order] = "sorted",
    identity: InConfig[Identity] = "zero",
    associativity: InConfig[NotNegative] = 0.0,
) -> type[Convolution]:
    """:class:`LCMConvolution` with these arguments, for `encoder.convolution`."""

    class Configured(LCMConvolution):
        def __init__(self, in_features: int, out_features: int) -> None:
            super().__init__(
                in_features,
                out_features,
                order=order,
                identity=identity,
                associativity=associativity,
            )

    return Configured
