"""The embedded dataset: a seeded co-authorship graph with features too noisy to do without it."""

from __future__ import annotations

import numpy as np
import torch

from runner.data.link_data import LinkData
from runner.data.whole_graph import LinkSplit, WholeGraph, split_data
from runner.errors import RunnerError
from runner.keys import Noise, PositiveInt, Seed

_TEAM_SIZES = np.arange(2, 7)
_PRODUCTIVITY_EXPONENT = 1.3  # of a Pareto distribution: few authors write most papers


def coauthorship(
    *,
    num_nodes: PositiveInt,
    num_edges: PositiveInt,
    num_topics: PositiveInt,
    num_features: PositiveInt,
    noise: Noise,
    seed: Seed,
    split: LinkSplit,
) -> LinkData:
    """An affiliation graph: teams of 2 to 6 authors of a topic write papers, a paper is a clique.

    Args:
        num_nodes: authors.
        num_edges: papers are written until there are this many co-authorships.
        noise: standard deviation beside 0.5 x the topic's vector, for each feature.
        seed: of the graph and its features.

    Raises:
        RunnerError: if the topics are too small for that many co-authorships.
    """
    if num_topics * int(_TEAM_SIZES[-1]) > num_nodes:
        raise RunnerError(
            f"dataset.source.num_topics={num_topics}: with {num_nodes} authors a topic has fewer "
            f"than {_TEAM_SIZES[-1]} of them; use fewer topics or more nodes"
        )
    generator = np.random.default_rng(seed)
    topic = generator.permutation(np.arange(num_nodes) % num_topics)
    edges = affiliation_edges(topic, num_edges, generator)
    centres = generator.standard_normal((num_topics, num_features))
    features = 0.5 * centres[topic] + noise * generator.standard_normal((num_nodes, num_features))
    whole = WholeGraph.of(torch.from_numpy(edges), num_nodes)
    return split_data(whole, split, features=torch.from_numpy(features.astype(np.float32)))


def affiliation_edges(
    topic: np.ndarray, num_edges: int, generator: np.random.Generator
) -> np.ndarray:
    """Co-authorships, each once, (2, num_edges) int64, of papers written inside topics.

    Args:
        topic: (N,) the topic of every author.

    Raises:
        RunnerError: if the papers stop bringing new co-authorships before there are enough.
    """
    num_nodes = len(topic)
    sizes = np.bincount(topic)
    if num_edges > (sizes * (sizes - 1) // 2).sum():
        raise RunnerError(
            f"dataset.source.num_edges={num_edges}: more than the pairs inside topics; use fewer "
            "edges, fewer topics or more nodes"
        )
    productivity = generator.pareto(_PRODUCTIVITY_EXPONENT, num_nodes) + 1
    order = np.argsort(topic, kind="stable")
    starts = np.searchsorted(topic[order], np.arange(topic.max() + 2))
    total = np.concatenate([[0.0], np.cumsum(productivity[order])])
    found = np.empty(0, dtype=np.int64)
    idle = 0
    while len(found) < num_edges:
        papers = max(64, (num_edges - len(found)) // 4)
        written = _papers(papers, order, starts, total, generator) @ np.array([num_nodes, 1])
        known = len(found)
        keys, first = np.unique(np.concatenate([found, written]), return_index=True)
        found = keys[np.argsort(first)]
        idle = idle + 1 if len(found) == known else 0
        if idle == 20:
            raise RunnerError(
                f"dataset.source.num_edges={num_edges}: the teams bring no more than {known} "
                "co-authorships; use fewer edges, fewer topics or more nodes"
            )
    kept = found[:num_edges]
    return np.stack([kept // num_nodes, kept % num_nodes])


def _papers(
    count: int,
    order: np.ndarray,
    starts: np.ndarray,
    total: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """The author pairs, (P, 2) with the smaller id first, of `count` papers."""
    topic = generator.integers(len(starts) - 1, size=count)
    size = generator.choice(_TEAM_SIZES, size=count)
    low, high = total[starts[topic]], total[starts[topic + 1]]
    widest = int(_TEAM_SIZES[-1])
    drawn = low[:, None] + generator.random((count, widest)) * (high - low)[:, None]
    position = np.searchsorted(total, drawn, side="right") - 1
    position = np.clip(position, starts[topic][:, None], starts[topic + 1][:, None] - 1)
    team = order[position]
    first, second = np.triu_indices(widest, k=1)
    pairs = np.stack([team[:, first], team[:, second]], axis=-1)
    inside = (second[None] < size[:, None]) & (pairs[..., 0] != pairs[..., 1])
    return np.sort(pairs[inside], axis=-1)
