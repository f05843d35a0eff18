"""Recompute how HeaRT's released negatives of CiteSeer were made, and what is wrong with them.

    RUNNER_DATA=… python scripts/heart_negatives.py      # about 10 seconds

The release (arXiv 2306.10453) ranks all nodes as partners of an end of a link by three scores,
takes the best of a node's ranks, and keeps the first 250. Here the scores are recomputed, and the
nodes that must be among the 250, since fewer rank as well, are looked for in the files.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata

from runner.data.heart import NEGATIVES, HeartSplit
from runner.data.link_data import LinkData
from runner.data.planetoid import planetoid
from runner.ops.csr import Graph
from runner.ops.pagerank import personalised_pagerank

HALF = NEGATIVES // 2


@dataclass(frozen=True)
class Scores:
    """Of all pairs of nodes, (N, N), by the training graph."""

    linked: np.ndarray
    common: np.ndarray
    released: np.ndarray  # what the release calls resource allocation
    allocation: np.ndarray
    pagerank: np.ndarray
    cosine: np.ndarray

    @classmethod
    def of(cls, data: LinkData) -> Scores:
        linked = np.zeros((data.num_nodes, data.num_nodes))
        u, v = data.train.numpy()
        linked[u, v] = linked[v, u] = 1
        by_degree = 1 / np.maximum(linked.sum(axis=1), 1)
        common = linked @ linked
        # The release scales columns by their degree: the count over the degree of the partner.
        released = common * by_degree
        allocation = (linked * by_degree) @ linked
        every = torch.arange(data.num_nodes)
        graph = Graph.from_edges(data.train, data.num_nodes)
        pagerank = personalised_pagerank(graph, every, epsilon=1e-7).to_dense().numpy()
        rows = torch.nn.functional.normalize(data.features).numpy()
        return cls(linked, common, released, allocation, pagerank, rows @ rows.T)


def ends(data: LinkData) -> Iterator[tuple[int, int, np.ndarray]]:
    """The kept end, the other one, and the 250 partners: of validation's links, in order."""
    positive, negative = data.valid.positive.numpy(), data.valid.negative.numpy()
    for link in range(positive.shape[1]):
        for side, half in ((0, slice(0, HALF)), (1, slice(HALF, NEGATIVES))):
            yield (*positive[[side, 1 - side], link].tolist(), negative[1 - side, link, half])


def rank(score: np.ndarray, eligible: np.ndarray) -> np.ndarray:
    """1 is the best, ties share; nodes without a score follow, then those that are not eligible.

    A tie counts as the release counts it: by its nodes' number from the worst score up.
    """
    scored = eligible & (score > 0)
    ranks = np.ones(len(score))
    if scored.any():
        upwards = rankdata(score[scored], method="min")
        ranks[scored] = upwards.max() - upwards + 1
    last = ranks[scored].max(initial=0)
    ranks[~scored] = last + 1
    ranks[~eligible] = last + 2
    return ranks


def required(data: LinkData, scores: Scores, allocation: str) -> dict[str, list[float]]:
    """Whether each node that must be among an end's partners is, and how many each end has."""
    found: dict[str, list[float]] = {"first use": [], "later use": [], "decided": []}
    used: set[int] = set()
    for kept, other, partners in ends(data):
        eligible = scores.linked[kept] == 0
        eligible[[kept, other]] = False
        by = getattr(scores, allocation)[kept], scores.pagerank[kept], scores.cosine[kept]
        best = np.minimum.reduce([rank(score, eligible) for score in by])
        ordered = np.sort(best[eligible])
        # What ties with the first that is left out may be in or out.
        sure = np.flatnonzero(eligible & (best < ordered[HALF]))
        found["decided"].append(len(sure))
        use = "later use" if kept in used else "first use"
        found[use] += np.isin(sure, partners).tolist()
        used.add(kept)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default=os.environ.get("RUNNER_DATA", "data"))
    root = parser.parse_args().root
    data = planetoid(name="CiteSeer", root=root, split=HeartSplit(own_negatives=True))
    scores = Scores.of(data)
    rows = []
    for name in ("valid", "test"):
        u, v = getattr(data, name).negative.numpy()
        rows.append(
            (
                f"{name}: negatives with a common neighbour",
                f"{(scores.common[u, v] > 0).mean():.1%}",
            )
        )
    by_name = {name: required(data, scores, name) for name in ("released", "allocation")}
    decided = by_name["released"]["decided"]
    rows += [
        ("partners of an end that the ranks decide, median", f"{np.median(decided):.0f} of {HALF}"),
        ("the same, mean", f"{np.mean(decided):.1f}"),
        (
            "required nodes in the files, by the released score, first use",
            f"{np.mean(by_name['released']['first use']):.1%}",
        ),
        ("the same, by resource allocation", f"{np.mean(by_name['allocation']['first use']):.1%}"),
        (
            "required nodes in the files, at a later use of the end",
            f"{np.mean(by_name['released']['later use']):.1%}",
        ),
    ]
    links = data.valid.positive.shape[1]
    of_sources = Counter(data.valid.negative[1, :, :HALF].flatten().tolist())
    node, often = of_sources.most_common(1)[0]
    rows.append((f"source-side lists with node {node}", f"{often} of {links}"))
    print(pd.DataFrame(rows, columns=["what", "how much"]).to_markdown(index=False))


if __name__ == "__main__":
    main()
