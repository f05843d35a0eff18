"""CatGCN: the categories of a node interact before they are propagated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from runner.errors import RunnerError
from runner.keys import Fraction, InConfig, Layers, NotNegative, PositiveInt, Probability, Width
from runner.models.encoder import Encoder, layers_of
from runner.models.mlp import MLP, Dropout
from runner.ops.aggregate import gather, pool
from runner.ops.backend import exact
from runner.ops.bipartite import Bipartite
from runner.ops.csr import Graph, entries_of
from runner.ops.pairs import split_by
from runner.ops.propagate import propagate
from runner.ops.sparse_rows import SparseRows

_ENTRIES = 2**17  # categories of nodes that interact at a time, each with a few rows of the width


class CatGCN(Encoder):
    """Â^K (a f_global(g) + (1 - a) f_local(l)) of Chen et al. (2023, arXiv 2009.05303).

    A node has a set of s categories, the features that are not 0, each with a learned row e_j. They
    interact globally, by a graph convolution on the complete graph of the set with self-loops of
    weight r: g = mean_i ReLU(((Σ_j e_j + r e_i) / (s + r)) W + b), in this closed form linear in s.
    They interact locally, by pairs: l is the mean of e_i ⊙ e_j over i < j, which is
    ((Σ_j e_j)² - Σ_j e_j²) / (s (s - 1)). Â = D^-1/2 (A + I) D^-1/2.

    In the release each node has as many categories, and l is the sum over pairs; of sets of
    different sizes it would grow as s². Without a category g is 0, and without a pair l is.

    Args:
        num_features: F, how many categories there are.
        num_categories: None: nodes with one category each have nothing that interacts.
        hidden: width H of the embeddings.
        width: of e.
        layers: K, number of propagations.
        rho: r; 0 leaves the mean of the set alone, a large one each category by itself.
        alpha: a, the share of the global interaction.
        global_layers, local_layers: Linears of f_global and f_local.
        mean_of_pairs: False takes the release's l, the sum over pairs.
        hidden_dropout: rate of g and l, and between the Linears.
        ignore_values: a feature that is not 0 is a category, whatever its value.

    Raises:
        ValueError: if the nodes have no features.
    """

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        hidden: InConfig[Width] = 64,
        width: InConfig[Width] = 64,
        layers: InConfig[Layers] = 2,
        rho: InConfig[NotNegative] = 1.0,
        alpha: InConfig[Fraction] = 0.5,
        global_layers: InConfig[PositiveInt] = 1,
        local_layers: InConfig[PositiveInt] = 1,
        mean_of_pairs: InConfig[bool] = True,
        hidden_dropout: InConfig[Probability] = 0.1,
        ignore_values: InConfig[bool] = False,
    ) -> None:
        super().__init__()
        if num_categories is not None or num_features is None:
            raise ValueError(
                "the nodes have no features, so no categories that could interact; give "
                "dataset.nodes or dataset.features, or another encoder"
            )
        self.steps = self.layers = layers
        self.rho, self.alpha = rho, alpha
        self.mean_of_pairs = mean_of_pairs
        self.ignore_values = ignore_values
        self.embedding = nn.Parameter(torch.randn(num_features, width))
        self.convolution = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.convolution.weight)
        nn.init.zeros_(self.convolution.bias)
        self.dropout = Dropout(hidden_dropout)
        self.f_global = _mlp(width, hidden, global_layers, hidden_dropout)
        self.f_local = _mlp(width, hidden, local_layers, hidden_dropout)

    def check(self, features: Tensor | SparseRows) -> None:
        self.sets(features)

    def sets(self, features: Tensor | SparseRows) -> SparseRows:
        """The categories of each node: the features, (N, F), that are not 0.

        Raises:
            RunnerError: if a value is negative, or those of a node differ and count.
        """
        sets = features if isinstance(features, SparseRows) else SparseRows.from_dense(features)
        counts, value = sets.rowptr.diff(), sets.value
        if not value.numel():
            return sets
        wrong, remedy = value < 0, "of an own table, dataset.bins=… makes categories of its numbers"
        if not wrong.any() and not self.ignore_values:
            first = value[sets.rowptr[:-1].clamp(max=value.numel() - 1)]
            wrong = value != torch.repeat_interleave(first, counts, output_size=value.numel())
            remedy = "encoder.ignore_values=true takes what is not 0 as a category"
        if not wrong.any():
            return sets
        place = int(wrong.nonzero()[0])
        node = int(torch.searchsorted(sets.rowptr, place, right=True)) - 1
        raise RunnerError(
            f"encoder: node {node} has the value {float(value[place]):.4g} of feature "
            f"{int(sets.col[place])}, and this encoder reads sets of categories; {remedy}, or take "
            "another encoder"
        )

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | None = None,
    ) -> Tensor:
        sets = self.sets(features)
        total = pool(self.embedding, sets.rowptr, sets.col)
        x = self.alpha * exact(self.f_global(self.dropout(self._global(sets, total))))
        x = x + (1 - self.alpha) * exact(self.f_local(self.dropout(self._local(sets, total))))
        for own in layers_of(graph, weight, self.steps):
            x = propagate(x, *own)
        return x

    def _local(self, sets: SparseRows, total: Tensor) -> Tensor:
        """l, (N, width), from Σ_j e_j."""
        squares = pool(self.embedding.square(), sets.rowptr, sets.col)
        both = total.square() - squares
        if not self.mean_of_pairs:
            return both / 2
        s = sets.rowptr.diff().unsqueeze(1)
        return both / (s * (s - 1)).clamp(min=1)

    def _global(self, sets: SparseRows, total: Tensor) -> Tensor:
        """g, (N, width), from Σ_j e_j; entries in blocks, since each has a row of its own."""
        s = sets.rowptr.diff().clamp(min=1).unsqueeze(1).to(total.dtype)
        of_set = exact(self.convolution(total / (s + self.rho)))
        of_category = exact(F.linear(self.embedding, self.convolution.weight))
        share = self.rho / (s + self.rho)
        nodes = torch.arange(s.size(0), device=s.device).unsqueeze(0)
        blocks = split_by(nodes, sets.rowptr.diff(), _ENTRIES)
        found = []
        for (block,) in blocks:
            rowptr, entry = entries_of(sets.rowptr, block)
            given = (gather(of_set, block), share[block], of_category, rowptr, sets.col[entry])
            if len(blocks) > 1 and torch.is_grad_enabled():
                found.append(checkpoint(_mean_of_rectified, *given, use_reentrant=False))
            else:
                found.append(_mean_of_rectified(*given))
        return torch.cat(found)


def _mean_of_rectified(
    of_set: Tensor, share: Tensor, of_category: Tensor, rowptr: Tensor, category: Tensor
) -> Tensor:
    """The mean of ReLU(of_set + share · of_category) over each set, (n, width)."""
    sets = torch.arange(rowptr.numel() - 1, device=rowptr.device)
    of = torch.repeat_interleave(sets, rowptr.diff(), output_size=category.numel())
    rectified = (gather(of_set, of) + share[of] * gather(of_category, category)).relu()
    return pool(rectified, rowptr, torch.arange(of.numel(), device=of.device), reduce="mean")


def _mlp(width: int, hidden: int, layers: int, dropout: float) -> MLP:
    between = [
        part
        for _ in range(layers - 1)
        for part in (nn.Linear(width, width), nn.Dropout(dropout), nn.ReLU())
    ]
    return MLP(*between, nn.Linear(width, hidden))
