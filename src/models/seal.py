"""SEAL (Zhang and Chen 2018, arXiv 1802.09691): a graph network on the subgraph of each pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from runner.keys import Depth, InConfig, PositiveInt, Probability, Share, Weight, Width
from runner.models.convolution import GCN
from runner.models.mlp import MLP, ExactLinear
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import gather, pool
from runner.ops.csr import Graph
from runner.ops.enclosing_subgraphs import EnclosingSubgraphs, enclosing_subgraphs
from runner.ops.overlap import check_pairs
from runner.ops.pairs import draw_pairs

_LEAST_K = 10  # the convolutions over the sorted nodes need so many
_CHANNELS, _KERNEL, _DENSE = (16, 32), 5, 128
_CHUNK = 2**30  # bytes of subgraphs that an evaluation scores at a time
_MEASURED = 500  # training links, and as many random pairs, whose subgraphs decide k


class SEAL(Predictor):
    """DGCNN (Zhang et al. 2018) on the labelled subgraph around each pair, without its own link.

    The nodes start as the embedding of their label plus h, where there is some. GCNs with tanh
    follow, all of whose outputs are concatenated; the last has one channel, by which the nodes of
    a subgraph are sorted. The first k go through Conv1d, ReLU, MaxPool, Conv1d, ReLU, Linear,
    dropout, ReLU and Linear.

    Args:
        hidden: width H of the embeddings of labels and of nodes.
        layers: GCNs before that of one channel.
        hops: from either end, how far the subgraph reaches.
        ratio_per_hop: share of each hop's nodes that stay, drawn anew in training, and in
            evaluation a function of the pair and the node.
        nodes_per_hop: and how many at most; None for all.
        labels: number of labels; higher ones count as the highest.
        dropout: rate before the last ReLU.
        sort_quantile: k is this quantile of the sizes of training's subgraphs, at least 10.
    """

    k: Tensor

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 32,
        layers: InConfig[PositiveInt] = 3,
        hops: InConfig[Depth] = 1,
        ratio_per_hop: InConfig[Weight] = 1.0,
        nodes_per_hop: InConfig[PositiveInt | None] = None,
        labels: PositiveInt = 1000,
        dropout: InConfig[Probability] = 0.5,
        sort_quantile: Share = 0.6,
    ) -> None:
        super().__init__()
        self.reach = self.hops = hops
        self.ratio_per_hop = ratio_per_hop
        self.nodes_per_hop = nodes_per_hop
        self.sort_quantile = sort_quantile
        self.dropout = dropout
        self.label = nn.Embedding(labels, hidden)
        self.convolutions = nn.ModuleList(GCN(hidden, hidden) for _ in range(layers))
        self.convolutions.append(GCN(hidden, 1))
        width = layers * hidden + 1
        self.each_node = nn.Conv1d(1, _CHANNELS[0], width, stride=width)
        self.along_nodes = nn.Conv1d(*_CHANNELS, _KERNEL)
        self.register_buffer("k", torch.tensor(0))
        self._fit_to(_LEAST_K)

    def prepare(self, graph: Graph, links: Tensor) -> None:
        """Fix k by an even sample of the training links, and as many random pairs."""
        few = links[:, :: -(-links.size(1) // _MEASURED)]
        random = draw_pairs(graph.num_nodes, few.size(1), torch.Generator().manual_seed(0))
        pairs = torch.cat([few, random.to(links.device)], dim=1)
        sizes = self._enclose(graph, pairs, seed=0).rowptr.diff().sort().values
        self._fit_to(int(sizes[math.ceil(self.sort_quantile * len(sizes)) - 1]))

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H), or (N, 0)."""
        check_pairs(view.graph, pairs)
        if torch.is_grad_enabled() or not pairs.numel():
            return self._logits(h, view, pairs)
        chunks = self._chunks(view.graph, pairs)
        return torch.cat([self._logits(h, view, chunk) for chunk in chunks])

    def _chunks(self, graph: Graph, pairs: Tensor) -> Sequence[Tensor]:
        """Pairs whose subgraphs fit into memory together, by a bound on their entries."""
        entries = graph.degree().double()
        for _ in range(self.hops):
            around = pool(entries.unsqueeze(1), graph.rowptr, graph.col).squeeze(1)
            entries = (entries + around).clamp(max=graph.num_entries)
        of_pair = entries[pairs].sum(0).clamp(max=graph.num_entries)
        layers = len(self.convolutions)
        width = 4 * layers * self.label.embedding_dim  # of a node, which has at least one entry
        number = (of_pair * (16 + width)).cumsum(0).div(_CHUNK, rounding_mode="floor").long()
        return pairs.split(torch.unique_consecutive(number, return_counts=True)[1].tolist(), dim=1)

    def _logits(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        draws = self.training and (self.ratio_per_hop < 1 or self.nodes_per_hop is not None)
        seed = int(torch.randint(2**62, ())) if draws else 0
        around = self._enclose(view.graph, pairs, seed=seed, ids=view.nodes)
        x = self.label(around.label.clamp(max=self.label.num_embeddings - 1))
        if h.size(1):
            x = x + gather(h, around.node)
        outputs = []
        for convolution in self.convolutions:
            x = convolution(x, around.graph).tanh()
            outputs.append(x)
        x = self._first_nodes(torch.cat(outputs, dim=1), around.rowptr)
        x = self.each_node(x).relu()
        x = self.along_nodes(nn.functional.max_pool1d(x, 2)).relu()
        return self.head(x.flatten(1)).squeeze(-1)

    def _first_nodes(self, x: Tensor, rowptr: Tensor) -> Tensor:
        """The k rows of each subgraph whose last channels are highest, or zeros: (B, 1, k · D)."""
        k, count = int(self.k), rowptr.diff()
        of = torch.repeat_interleave(count, output_size=len(x))
        order = torch.argsort(x.detach()[:, -1], descending=True, stable=True)
        order = order[torch.argsort(of[order], stable=True)]
        rank = torch.arange(len(x), device=x.device) - rowptr[of]
        there = rank < k
        rows = x.new_zeros(count.numel() * k, x.size(1))
        rows = rows.index_copy(0, (of * k + rank)[there], x[order[there]])
        return rows.view(count.numel(), 1, k * x.size(1))

    def _enclose(
        self, graph: Graph, pairs: Tensor, *, seed: int, ids: Tensor | None = None
    ) -> EnclosingSubgraphs:
        return enclosing_subgraphs(
            graph,
            pairs,
            hops=self.hops,
            ratio=self.ratio_per_hop,
            most=self.nodes_per_hop,
            seed=seed,
            ids=ids,
        )

    def _fit_to(self, k: int) -> None:
        self.k.fill_(max(_LEAST_K, k))
        flat = _CHANNELS[1] * (int(self.k) // 2 - _KERNEL + 1)
        layers = nn.Linear(flat, _DENSE), nn.Dropout(self.dropout), nn.ReLU()
        self.head = MLP(*layers, ExactLinear(_DENSE, 1)).train(self.training)
        self.head.to(self.label.weight)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *others: Any
    ) -> None:
        """A checkpoint knows k, and with it the width of a Linear."""
        k = state_dict.get(f"{prefix}k")
        if k is not None and int(k) != int(self.k):
            self._fit_to(int(k))
        super()._load_from_state_dict(state_dict, prefix, *others)
