"""The best links of a whole graph, and how many of the links to come are among what was scored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runner.prediction.all_pairs import AllPairs
from runner.prediction.best_pairs import BestPairs
from runner.prediction.candidates import find_candidates
from runner.prediction.known_links import KnownLinks
from runner.prediction.scorer import Scorer
from runner.prediction.trained import Trained

log = logging.getLogger(__name__)

_BLOCK = 2**18  # pairs that are scored, and cut to the best, at a time


@dataclass(frozen=True, eq=False)
class TopLinks:
    """The best links, (2, n) int64, the best first, and their scores, (n,) float64.

    Attributes:
        facts: `candidates`, what was scored, in words; `scored`, the number of pairs; `recall`, the
            share of the validation links that are among such candidates, 1 for all pairs; None
            where there are no validation links.
    """

    pairs: Tensor
    scores: np.ndarray
    facts: dict[str, Any]


def find_top_links(
    trained: Trained,
    scorer: Scorer,
    pairs: AllPairs,
    *,
    k: int,
    include_known: bool,
    most_pairs: int,
) -> TopLinks:
    """The k best of all pairs, or of candidates where there are more than ``most_pairs``.

    Args:
        include_known: with the links that the data has.
    """
    known = KnownLinks.of(trained.data)
    facts: dict[str, Any] = {"candidates": "all pairs", "recall": 1.0}
    count, block = len(pairs), pairs.block
    if count > most_pairs:
        found, recall = _candidates(trained, scorer, pairs, most_pairs)
        if include_known:
            found = pairs.of(torch.cat([found, *trained.data.links.values()], dim=1))
        facts = {"candidates": "two hops and nearest embeddings", "recall": recall}
        count, block = found.size(1), lambda begin, end: found[:, begin:end]
    best, facts["scored"] = BestPairs(k), 0
    with _progress(count) as show:
        for begin in range(0, count, _BLOCK):
            some = block(begin, begin + _BLOCK)
            if not include_known:
                some = some[:, ~known.has(some)]
            best.add(some, scorer.score(some))
            facts["scored"] += some.size(1)
            show(min(begin + _BLOCK, count))
    return TopLinks(*best.result(), facts)


def _candidates(
    trained: Trained, scorer: Scorer, pairs: AllPairs, most: int
) -> tuple[Tensor, float | None]:
    """What is scored of too many pairs, and the share of the validation links that such have.

    The graph of validation proposes those that are measured: it has none of these links.
    """
    graph = trained.graphs[1]
    with _status(f"{len(pairs):,} pairs are too many: looking for candidates"):
        measured = scorer if scorer.graph is graph else Scorer(trained, graph)
        proposed = find_candidates(graph, measured.embeddings, pairs, most=most)
        recall = _recall(trained, pairs, proposed)
        if measured is not scorer:
            proposed = find_candidates(scorer.graph, scorer.embeddings, pairs, most=most)
    log.warning(
        "%s pairs are too many to score (most_pairs=%s); %s are candidates, with a common "
        "neighbour or near embeddings: %s",
        *(f"{number:,}" for number in (len(pairs), most, proposed.size(1))),
        "there are no validation links to say what these miss"
        if recall is None
        else f"they have {recall:.1%} of the validation links",
    )
    return proposed, recall


def _recall(trained: Trained, pairs: AllPairs, candidates: Tensor) -> float | None:
    data = trained.data
    seen = [part for part in (data.train, data.valid_support) if part is not None]
    repeated = KnownLinks(torch.cat(seen, dim=1), data.num_nodes, directed=data.directed)
    links = data.valid.positive
    links = links[:, pairs.have(links) & ~repeated.has(links)]
    if not links.size(1):
        return None
    found = KnownLinks(candidates, data.num_nodes, directed=data.directed).has(links)
    return found.double().mean().item()


@contextmanager
def _progress(count: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, if there is more than a moment's work."""
    from rich.console import Console

    from runner.terminal.bar import Bar, drawn

    bar = Bar(Console(stderr=True, quiet=count <= _BLOCK), total=count, completed=0)

    def show(done: int) -> None:
        bar.update(bar.task.id, completed=done)
        bar.show("scoring pairs", f"{done:,} of {count:,}")

    with drawn(bar):
        yield show


@contextmanager
def _status(text: str) -> Iterator[None]:
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_interactive:
        yield
        return
    with console.status(text):
        yield
