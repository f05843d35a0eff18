"""Negatives that heuristics take for links: each scored link is ranked against some of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.stats import rankdata
from torch import Tensor

from runner.data.evaluation_negatives import EvaluationNegatives
from runner.data.link_data import EvaluationSplit, LinkData
from runner.errors import RunnerError
from runner.keys import Positive, PositiveInt, RunSeed, Share
from runner.ops.csr import Graph
from runner.ops.pagerank import personalised_pagerank

_BLOCK = 256  # nodes whose candidates are scored at a time
_MOST_PAIRS = 2**30  # of a part, 16 bytes each
_COMPARED = 50_000  # nodes up to which null compares all features

Scored = list[tuple[np.ndarray, np.ndarray]]
"""For each heuristic the nodes that it gives a positive score, and the scores."""


@dataclass(frozen=True)
class _Chosen:
    """Negatives for each of some nodes.

    Shapes:
        - ``nodes``: (S,) int64, ascending; ``partners``: (S, k) int64
        - ``ranked``: (S,) int64, how many of its partners a heuristic has ranked
    """

    nodes: np.ndarray
    partners: np.ndarray
    ranked: np.ndarray


class HardNegatives(EvaluationNegatives):
    """The idea of HeaRT (Li et al. 2023, arXiv 2306.10453), without the faults of its release.

    One half of a link's negatives keeps its source, the other its target. The other end is one of
    the nodes that rank highest by resource allocation, by personalised PageRank or by the cosine of
    the features: the best rank of a node counts, a heuristic that gives it zero says nothing of it,
    and equal ranks are in an order drawn by the seed. Where too few nodes have a rank, others are
    drawn. No negative is a link of any part, and none stands twice in a half.

    Args:
        per_positive: negatives of each link, an even number.
        damping, epsilon: of PageRank, see :func:`runner.ops.pagerank.personalised_pagerank`.
        features: whether features are compared; None: where there are some, on up to 50,000 nodes.
        seed: of equal ranks and of what is drawn.
    """

    def __init__(
        self,
        *,
        per_positive: PositiveInt = 500,
        damping: Share = 0.85,
        epsilon: Positive = 1e-5,
        features: bool | None = None,
        seed: RunSeed,
    ) -> None:
        if per_positive % 2:
            raise ValueError(
                f"per_positive must be even, one half for each end of a link, got {per_positive}"
            )
        self.each = per_positive // 2
        self.damping = damping
        self.epsilon = epsilon
        self.features = features
        self.seed = seed

    def draw(self, data: LinkData, valid_graph: Graph, test_graph: Graph) -> LinkData:
        self._require_memory(max(part.positive.shape[1] for part in (data.valid, data.test)))
        compared = self._features(data)
        generator = np.random.default_rng(self.seed)
        parts, facts, digest = {}, {}, hashlib.sha256(data.fingerprint.encode())
        for name, part, graph in (
            ("valid", data.valid, valid_graph), ("test", data.test, test_graph)
        ):  # fmt: skip
            halves = [
                self._draw_half(data, part.positive, side, graph, compared, generator)
                for side in (0, 1)
            ]
            negative = torch.cat([pairs for pairs, _ in halves], dim=2)
            parts[name] = EvaluationSplit(part.positive, negative)
            facts[name] = round(sum(share for _, share in halves) / 2, 4)
            digest.update(negative.numpy().data)
        used = "resource allocation, PageRank" + (", features" if compared is not None else "")
        note = (
            f"{2 * self.each} hard negatives for each link by {used}: they rank "
            f"{facts['valid']:.1%} of those in validation and {facts['test']:.1%} in the test, "
            "the others are drawn"
        )
        return replace(
            data,
            valid=parts["valid"],
            test=parts["test"],
            fingerprint=digest.hexdigest(),
            notes=(*data.notes, note),
            facts={**data.facts, "hard negatives": {"by": used, "ranked": facts}},
        )

    def _require_memory(self, links: int) -> None:
        most = _MOST_PAIRS // links
        if 2 * self.each > most:
            raise RunnerError(
                f"protocol.negatives.per_positive={2 * self.each}: of {links:,} links that are "
                f"{2 * self.each * links:,} pairs, {16 * 2 * self.each * links / 2**30:.0f} GiB; "
                f"give at most {most - most % 2}"
            )

    def _features(self, data: LinkData) -> Tensor | None:
        """Rows of length 1, (N, F); None where features are not compared."""
        has_some = data.num_categories is None
        if self.features and not has_some:
            raise RunnerError(
                "protocol.negatives.features=true: the nodes have no features to compare; leave it "
                "out"
            )
        if self.features is None:
            has_some = has_some and data.num_nodes <= _COMPARED
        if not has_some or self.features is False:
            return None
        return torch.nn.functional.normalize(data.features)

    def _draw_half(
        self,
        data: LinkData,
        positive: Tensor,
        side: int,
        graph: Graph,
        compared: Tensor | None,
        generator: np.random.Generator,
    ) -> tuple[Tensor, float]:
        """The negatives that keep one end, (2, P, k), and the share that a heuristic has ranked."""
        nodes, place = positive[side].unique(return_inverse=True)
        chosen = self._partners(data, nodes, side, graph, compared, generator)
        partners = torch.from_numpy(chosen.partners)[place]
        kept = positive[side].unsqueeze(1).expand_as(partners)
        pairs = (kept, partners) if side == 0 else (partners, kept)
        ranked = torch.from_numpy(chosen.ranked)[place]
        return torch.stack(pairs), float(ranked.double().mean()) / self.each

    def _partners(
        self,
        data: LinkData,
        nodes: Tensor,
        side: int,
        graph: Graph,
        compared: Tensor | None,
        generator: np.random.Generator,
    ) -> _Chosen:
        known = _list_links(data, side)
        other_side = np.ones(data.num_nodes, bool)
        if data.num_sources is not None:
            other_side[: data.num_sources] = side == 1
            other_side[data.num_sources :] = side == 0
        self._require(data, nodes.numpy(), other_side.sum() - other_side - np.diff(known.indptr))
        partners = np.empty((len(nodes), self.each), np.int64)
        ranked = np.empty(len(nodes), np.int64)
        scores = self._scores(graph, nodes, compared)
        for place, (node, found) in enumerate(zip(nodes.tolist(), scores, strict=True)):
            eligible = other_side.copy()
            eligible[known.indices[known.indptr[node] : known.indptr[node + 1]]] = False
            eligible[node] = False
            best = _pick_hardest(found, eligible, self.each, generator)
            ranked[place] = len(best)
            eligible[best] = False
            rest = generator.choice(
                np.flatnonzero(eligible), self.each - len(best), replace=False
            )  # fmt: skip
            partners[place] = np.concatenate([best, rest])
        return _Chosen(nodes.numpy(), partners, ranked)

    def _require(self, data: LinkData, nodes: np.ndarray, eligible: np.ndarray) -> None:
        """Refuse to choose more partners than a node can have."""
        node = nodes[eligible[nodes].argmin()]
        if eligible[node] < self.each:
            label = node if data.names is None else data.names[int(node)]
            raise RunnerError(
                f"protocol.negatives.per_positive={2 * self.each}: node {label} has only "
                f"{eligible[node]} nodes without a link to it; give at most {2 * eligible[node]}"
            )

    def _scores(self, graph: Graph, nodes: Tensor, compared: Tensor | None) -> Iterator[Scored]:
        """The scores of all partners of each node, in turn."""
        shape = graph.num_nodes, graph.num_nodes
        ones = np.ones(graph.num_entries)
        links = csr_array((ones, graph.col.numpy(), graph.rowptr.numpy()), shape=shape)
        # Resource allocation: a common neighbour counts by the inverse of its degree.
        shared_out = csr_array(
            (np.repeat(1 / graph.degree().clamp(min=1).numpy(), np.diff(links.indptr)),
             links.indices, links.indptr), shape=shape,
        )  # fmt: skip
        all_nodes = np.arange(graph.num_nodes)
        for block in nodes.split(_BLOCK):
            allocated = links[block.numpy()] @ shared_out
            rank = personalised_pagerank(
                graph, block, damping=self.damping, epsilon=self.epsilon
            )  # fmt: skip
            walks = rank.rowptr.tolist()
            similarity = None if compared is None else (compared[block] @ compared.T).numpy()
            for row in range(len(block)):
                entries = slice(*allocated.indptr[row : row + 2])
                found = [(allocated.indices[entries], allocated.data[entries])]
                entries = slice(walks[row], walks[row + 1])
                found.append((rank.col[entries].numpy(), rank.value[entries].numpy()))
                if similarity is not None:
                    found.append((all_nodes, similarity[row]))
                yield found


def _pick_hardest(
    scored: Scored, eligible: np.ndarray, most: int, generator: np.random.Generator
) -> np.ndarray:
    """The eligible nodes of the best ranks, at most ``most``; of equal ranks any, by chance."""
    best = np.full(len(eligible), np.inf)
    for nodes, scores in scored:
        counts = eligible[nodes] & (scores > 0)
        nodes, scores = nodes[counts], _rounded(scores[counts])
        best[nodes] = np.minimum(best[nodes], rankdata(-scores, method="min"))
    nodes = np.flatnonzero(np.isfinite(best))
    return nodes[np.lexsort((generator.random(len(nodes)), best[nodes]))[:most]]


def _rounded(scores: np.ndarray) -> np.ndarray:
    """To five digits: those that are equal but for the order of a sum are equal."""
    unit = 10.0 ** (np.floor(np.log10(scores)) - 4)
    return np.round(scores / unit) * unit


def _list_links(data: LinkData, side: int) -> csr_array:
    """Row n: the nodes that n is linked to in any part, as source (side 0) or as target."""
    links = torch.cat(list(data.links.values()), dim=1).numpy()
    first, second = links[side], links[1 - side]
    if not data.directed:
        first, second = np.concatenate([first, second]), np.concatenate([second, first])
    shape = data.num_nodes, data.num_nodes
    return csr_array((np.ones(len(first), bool), (first, second)), shape=shape)
