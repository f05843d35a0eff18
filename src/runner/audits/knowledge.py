"""Knowledge: whether a score depends on links that the protocol hides from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from runner.audits.limit import Limit
from runner.audits.scores import (
    SAMPLE,
    SEED,
    Score,
    difference,
    draw,
    generator,
    sides,
    tolerance,
    verdict,
)
from runner.data.link_data import EvaluationSplit, LinkData

Seen = Mapping[str, Score]
"""What scores the pairs of `valid` and of `test`, on what evaluation sees of some data."""


def audit_knowledge(
    seen: Seen,
    see: Callable[[LinkData], Seen],
    prepares_alike: Callable[[LinkData], bool],
    data: LinkData,
    *,
    validation_edges: bool,
    exact: bool,
    limit: Limit,
) -> dict[str, Any]:
    """Score a sample of each split, and again with other links in the hidden ones' place.

    The test's scores must know neither its links nor, unless the protocol shows them, those of
    validation; validation's scores must know neither.

    Args:
        seen: as evaluation has seen the data.
        see: makes the same of other data, with all that depends on them.
        prepares_alike: whether what the weights were learned from, as the communities of a
            pretraining, is the same of other data.
        validation_edges: the graph of the test has the links of validation.
        exact: see :func:`~runner.audits.scores.tolerance`.
    """
    chance = generator()
    splits = {"valid": data.valid, "test": data.test}
    rewired = {
        name: [_rewired(part, data, chance) for part in sides(split)]
        for name, split in splits.items()
    }
    shuffled = {
        name: EvaluationSplit(positive, negative) for name, (positive, negative) in rewired.items()
    }
    support = data.test_support
    hidden: dict[str, dict[str, Any]] = {
        "test": {"test": shuffled["test"]} if validation_edges else shuffled,
        "valid": {
            **shuffled,
            "test_support": None if support is None else _rewired(support, data, chance),
        },
    }
    worst, allowed, alike = 0.0, 0.0, True
    audited: list[str] = []
    scored = 0
    for name, changed in hidden.items():
        if audited and not limit.left:
            break
        pairs = torch.cat([draw(part, SAMPLE, chance) for part in sides(splits[name])], dim=1)
        before = seen[name](pairs)
        rewired_data = replace(data, train_graph=None, **changed)
        alike = alike and prepares_alike(rewired_data)
        other = see(rewired_data)[name](pairs)
        found, bound = difference(before, other), tolerance(before, exact=exact)
        if not audited or found - bound > worst - allowed:
            worst, allowed = found, bound
        audited.append(name)
        scored += pairs.size(1)
    return {
        **verdict(worst, allowed),
        **({} if alike else {"passed": False, "prepared_alike": False}),
        "pairs": scored,
        "seed": SEED,
        "splits": audited,
        **({"cut": True} if len(audited) < len(hidden) else {}),
    }


def _rewired(pairs: Tensor, data: LinkData, chance: torch.Generator) -> Tensor:
    """As many pairs, (2, n): the same sources with random targets."""
    lowest, count = data.num_sources or 0, (pairs.size(1),)
    targets = torch.randint(lowest, data.num_nodes, count, generator=chance)
    return torch.stack([pairs[0], targets])
