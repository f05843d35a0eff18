"""A graph before its split, and the contract of what splits it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from runner.config.schema import Overlap
from runner.data.link_data import EvaluationSplit, LinkData, link_data
from runner.data.standardise import binned_over, fill_missing, standardise_over
from runner.data.times import Times
from runner.errors import RunnerError
from runner.ops.csr import Graph


@dataclass(frozen=True, eq=False)
class WholeGraph:
    """A graph with all its links, before they are split.

    Attributes:
        graph: the links as undirected edges.
        ordered: (2, M) int64, of a directed graph the distinct links (source, target), ascending;
            None where links have no direction.
        num_sources: of a bipartite graph the number of its first side, whose nodes come first;
            None where every pair of nodes may be linked.
        rows: (2, R) int64, links in the order of the file, repeats included, where they have times.
        times: of the rows; None where links have no times.
        untimed: why not, where the file has a column of times that cannot be read.
        parts: train, valid and test where the file has a split of its own; a part without negatives
            has some of shape (2, 0).
        name, root: of a public dataset, of which benchmarks have splits of their own: what they
            call it, and the folder of the data, that may have them; None for other graphs.
    """

    graph: Graph
    ordered: Tensor | None = None
    num_sources: int | None = None
    rows: Tensor | None = None
    times: Times | None = None
    untimed: str = ""
    parts: Split | None = None
    name: str = ""
    root: str | None = None

    @classmethod
    def of(
        cls,
        edges: Tensor,
        num_nodes: int,
        *,
        directed: bool = False,
        num_sources: int | None = None,
        times: Times | None = None,
        untimed: str = "",
        parts: Split | None = None,
    ) -> WholeGraph:
        """The graph of rows of links; repeats and self-loops are dropped.

        Args:
            edges: (2, R) int64, in any direction unless `directed`.
            times: of the rows.

        Raises:
            ValueError: if an id lies outside 0 to `num_nodes` - 1.
        """
        return cls(
            Graph.from_edges(edges, num_nodes),
            distinct_links(edges, num_nodes) if directed else None,
            num_sources,
            None if times is None else edges,
            times,
            untimed,
            parts,
        )

    @property
    def num_nodes(self) -> int:
        return self.graph.num_nodes

    @property
    def directed(self) -> bool:
        return self.ordered is not None

    @cached_property
    def edges(self) -> Tensor:
        """The pairs that are linked in one direction or both, (2, E) int64, lower id first."""
        once = self.graph.row < self.graph.col
        return torch.stack([self.graph.row[once], self.graph.col[once].long()])

    @property
    def links(self) -> Tensor:
        """What is split, (2, M) int64: the ordered links of a directed graph, else its edges."""
        return self.edges if self.ordered is None else self.ordered

    @property
    def num_links(self) -> int:
        return self.graph.num_entries // 2 if self.ordered is None else self.ordered.shape[1]

    def has(self, pairs: Tensor) -> Tensor:
        """Whether each of the pairs, (2, B) int64, is a link, (B,) bool; ordered if directed."""
        if self.ordered is None:
            return self.graph.find(pairs) >= 0
        keys, wanted = (x[0] * self.num_nodes + x[1] for x in (self.ordered, pairs))
        place = torch.searchsorted(keys, wanted).clamp_(max=keys.numel() - 1)
        return keys[place] == wanted


def distinct_links(edges: Tensor, num_nodes: int) -> Tensor:
    """The distinct columns of (2, R) int64, ascending, without self-loops."""
    u, v = edges[:, edges[0] != edges[1]]
    key = torch.unique(u * num_nodes + v)
    return torch.stack([key // num_nodes, key % num_nodes])


@dataclass(frozen=True, eq=False)
class Split:
    """The parts that the links of a graph are cut into.

    Shapes:
        - ``train``: (2, M) int64, the target links of training, which are its graph too

    Attributes:
        valid_support, test_support: (2, S) int64, links that nobody scores and that the graph of
            validation, or of the test, has beside those of training; None for none.
        nodes_arrive: nodes whose links all come after training are not there in training: no
            training negative has them.
        permitted: overlaps that the split is meant to have (`runner.data.audit`).
        told: of these parts what the files say, whatever the seed.
        notes: what the user should know, a line each.
        facts: the same for `meta.json`.
    """

    train: Tensor
    valid: EvaluationSplit
    test: EvaluationSplit
    valid_support: Tensor | None = None
    test_support: Tensor | None = None
    nodes_arrive: bool = False
    permitted: tuple[Overlap, ...] = ()
    told: tuple[Tensor, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def new_nodes(self) -> Tensor:
        """Nodes that are not there in training, (K,) int64: their links all come later."""
        if not self.nodes_arrive:
            return torch.empty(0, dtype=torch.int64)
        later = (self.valid.positive, self.test.positive, self.valid_support, self.test_support)
        nodes = torch.cat([part.flatten() for part in later if part is not None]).unique()
        return nodes[~torch.isin(nodes, self.train)]


class LinkSplit(ABC):
    """Cuts the links of a graph into train, validation and test: `protocol.split`."""

    takes_parts: ClassVar[bool] = False
    """Whether it takes the parts that the graph has; a graph with parts is refused otherwise."""

    @abstractmethod
    def split(self, whole: WholeGraph) -> Split:
        """The parts, with the negatives of validation and test.

        Raises:
            RunnerError: if the graph cannot be split so; names the key and the remedy.
        """


def split_data(
    whole: WholeGraph,
    split: LinkSplit,
    *,
    features: Tensor | None,
    standardised: Sequence[int] = (),
    bins: int | None = None,
    names: Sequence[str] | None = None,
    notes: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
) -> LinkData:
    """Split a graph and put the dataset together.

    Args:
        features: (N, F) float32; None gives every node an embedding of its own.
        standardised: columns of them with mean 0 and deviation 1, NaN where a number is missing;
            they are standardised anew over the nodes that training has.
        bins: these columns become as many categories in place of that.
        names: of the nodes, where they have names of their own.
        notes, facts: how it was read; those of the split are added.

    Raises:
        RunnerError: if the graph cannot be split so.
    """
    if whole.parts is not None and not split.takes_parts:
        raise RunnerError(
            "protocol: the dataset has train, validation and test of its own, and this protocol "
            "would split it anew; give protocol=files, or all links in one file"
        )
    parts = split.split(whole)
    new_nodes, as_read = parts.new_nodes, features
    if features is not None:
        as_read = fill_missing(features, standardised)
        if bins is not None:
            features = binned_over(features, standardised, bins, new_nodes)
        elif len(new_nodes):
            features = standardise_over(features, standardised, new_nodes)
        else:
            features = as_read
    return link_data(
        num_nodes=whole.num_nodes,
        features=features,
        features_as_read=as_read,
        train=parts.train,
        valid=parts.valid,
        test=parts.test,
        directed=whole.directed,
        notes=[*notes, *parts.notes],
        names=names,
        facts={**(facts or {}), **parts.facts},
        num_sources=whole.num_sources,
        valid_support=parts.valid_support,
        test_support=parts.test_support,
        new_nodes=new_nodes,
        permitted=parts.permitted,
        told=parts.told,
        links=whole.links,
    )
