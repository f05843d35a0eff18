"""The receptive field of a few nodes: all that their embeddings, and their scores, depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from runner.ops import backend
from runner.ops.bipartite import Bipartite
from runner.ops.csr import Graph, check_ids, entries_of, offsets
from runner.ops.kernels import receptive_field as kernels
from runner.ops.kernels.parallel import array, parallel
from runner.ops.overlap import NeighbourLists
from runner.ops.sample import sample_neighbours


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """Nodes around some targets, numbered anew, and what is computed on them.

    Nodes within reach of a predictor come first, ascending, then those one step further, and so on:
    every layer of an encoder works on a beginning of them, and its rows on a beginning of all rows.

    Attributes:
        nodes: (n,) int64, the node of the whole graph that each of them is.
        graph: of the first of them, whose embeddings a predictor reads.
        layers: one for each layer of an encoder, the first one first: from the features of all
            nodes to the embeddings of those in ``graph``.
    """

    nodes: Tensor
    graph: Graph
    layers: Sequence[Bipartite]

    def local(self, targets: Tensor) -> Tensor:
        """The new numbers of targets, or of other nodes in ``graph``; int64 of the same shape."""
        return torch.searchsorted(self.nodes[: self.graph.num_nodes], targets.contiguous())

    @property
    def messages(self) -> int:
        """Rows that an encoder reads in all layers: one for every entry and every node itself."""
        return sum(layer.num_entries + layer.num_nodes for layer in self.layers)


def receptive_field(
    graph: Graph,
    targets: Tensor,
    *,
    reach: int,
    layers: int,
    kept: Tensor | None = None,
    fan_outs: Sequence[int] | None = None,
) -> ReceptiveField:
    """All nodes, and all rows, that the embeddings within ``reach`` steps of ``targets`` depend on.

    An encoder without chance gives the same embeddings on it as on the whole graph; with edge
    dropout they have the same distribution. With ``fan_outs`` an encoder approximates them: of the
    neighbours of a node some are drawn (Hamilton et al. 2017), weighted so that sums are unbiased.

    Args:
        graph: symmetric.
        targets: node ids of any shape, int64.
        reach: steps from the targets within which embeddings are read, with the links among those
            nodes: the common neighbours of two targets are within one.
        layers: of the encoder.
        kept: (E,) bool, the entries of the graph that are there, the same for both directions of an
            edge; None for all.
        fan_outs: neighbours drawn for a node in every layer, the one next to the targets first;
            None for all of them. Drawn without replacement from torch's default generator.

    Raises:
        ValueError: if an id lies outside the graph, or there is not one fan-out a layer.
    """
    check_ids(targets, graph.num_nodes, "targets")
    if fan_outs is not None and len(fan_outs) != layers:
        raise ValueError(f"fan_outs needs {layers} numbers, one a layer, got {list(fan_outs)}")
    kept = kept if kept is not None else torch.empty(0, dtype=torch.bool, device=graph.col.device)
    seen = torch.zeros(graph.num_nodes, dtype=torch.bool, device=graph.col.device)
    newest = _newly_seen(seen, targets.flatten())
    for _ in range(reach):
        newest = _newly_seen(seen, _rows(graph, newest, kept).node)
    inner = seen.nonzero().flatten()
    local = torch.full_like(seen, -1, dtype=graph.col.dtype)
    local[inner] = torch.arange(inner.numel(), dtype=local.dtype, device=local.device)
    lists = _rows(graph, inner, kept)
    groups, rows, degrees, weights = [inner], [], [], []
    induced = _induced(lists, local)
    for layer in range(layers):
        if fan_outs is None:
            lists = _rows(graph, groups[-1], kept) if layer else lists
            degrees.append(lists.counts())
        else:
            degrees.append(_counts(graph, groups[-1], kept))
            lists = _sample(graph, groups[-1], kept, degrees[-1], fan_outs[layer])
            scale = (degrees[-1] / fan_outs[layer]).clamp(min=1).to(torch.get_default_dtype())
            weights.append(torch.repeat_interleave(scale, lists.counts()))
        rows.append(lists)
        groups.append(_newly_seen(seen, lists.node))
    if layers:
        degrees.append(_counts(graph, groups[-1], kept))
    nodes = torch.cat(groups)
    local[nodes] = torch.arange(nodes.numel(), dtype=local.dtype, device=local.device)
    return ReceptiveField(nodes, induced, _layers(groups, rows, degrees, weights, local))


def _layers(
    groups: Sequence[Tensor],
    rows: Sequence[NeighbourLists],
    degrees: Sequence[Tensor],
    weights: Sequence[Tensor],
    local: Tensor,
) -> list[Bipartite]:
    """One set of rows, of which every layer takes a beginning."""
    if not rows:
        return []
    rowptr = offsets(torch.cat([lists.counts() for lists in rows]))
    col = torch.cat([local.index_select(0, lists.node) for lists in rows])
    weight = torch.cat(list(weights)) if weights else None
    degree = torch.cat(list(degrees)).to(torch.get_default_dtype())
    ends = offsets(torch.tensor([group.numel() for group in groups])).tolist()
    made = []
    for last in range(len(rows), 0, -1):
        count, columns = ends[last], ends[last + 1]
        entries = int(rowptr[count])
        made.append(
            Bipartite(
                rowptr[: count + 1],
                col[:entries],
                beyond=degree[count:columns],
                weight=None if weight is None else weight[:entries],
            )
        )
    return made


def _induced(lists: NeighbourLists, local: Tensor) -> Graph:
    """The graph of the nodes that have a number, whose rows these are; numbers ascend with ids."""
    col = local.index_select(0, lists.node)
    inside = col >= 0
    return Graph(offsets(inside)[lists.rowptr], col[inside], symmetric=True)


def _newly_seen(seen: Tensor, nodes: Tensor) -> Tensor:
    """Mark ``nodes``; those that were not marked before, ascending."""
    before = seen.clone()
    if backend.compiled(nodes):
        kernels.mark(array(nodes.contiguous()), array(seen))
    else:
        seen[nodes.long()] = True
    return (seen & ~before).nonzero().flatten()


def _counts(graph: Graph, nodes: Tensor, kept: Tensor) -> Tensor:
    if backend.compiled(graph.col):
        counts = torch.empty_like(nodes)
        parallel(kernels.count_listed, nodes.numel(), graph.rowptr, kept, nodes, counts, cost=8)
        return counts
    return _rows(graph, nodes, kept).counts()


def _sample(graph: Graph, nodes: Tensor, kept: Tensor, counts: Tensor, k: int) -> NeighbourLists:
    """k entries of every row that has more, without replacement."""
    if backend.compiled(graph.col):
        rowptr = offsets(counts.clamp(max=k))
        out = torch.empty(int(rowptr[-1]), dtype=graph.col.dtype)
        seed = int(torch.randint(2**62, ()))
        cost = 8 + graph.num_entries / max(1, graph.num_nodes)
        rows = (graph.rowptr, graph.col, kept, nodes, counts, rowptr, k, seed, out)
        parallel(kernels.sample_listed, nodes.numel(), *rows, cost=cost)
        return NeighbourLists(rowptr, out)
    lists = _rows(graph, nodes, kept)
    lists = NeighbourLists(lists.rowptr, lists.node.long())
    return sample_neighbours(lists, k, torch.default_generator, replacement=False)[0]


def _rows(graph: Graph, nodes: Tensor, kept: Tensor) -> NeighbourLists:
    """The neighbours of ``nodes`` through entries that are there, of the type of the graph's."""
    if backend.compiled(graph.col):
        rowptr = offsets(_counts(graph, nodes, kept))
        out = torch.empty(int(rowptr[-1]), dtype=graph.col.dtype)
        cost = 8 + out.numel() / max(1, nodes.numel())
        rows = (graph.rowptr, graph.col, kept, nodes, rowptr, out)
        parallel(kernels.copy_listed, nodes.numel(), *rows, cost=cost)
        return NeighbourLists(rowptr, out)
    rowptr, entry = entries_of(graph.rowptr, nodes)
    lists = NeighbourLists(rowptr, graph.col[entry])
    return lists.keep(kept[entry]) if kept.numel() else lists
