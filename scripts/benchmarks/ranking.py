"""Links ranked against negatives of their own, beside negatives that all links share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.graphs import config, load
from benchmarks.steps import EVALUATED_PAIRS, prepare
from benchmarks.timing import in_turn
from runner.machine import hardware

PER_POSITIVE = 500  # HeaRT's
KINDS = ("own", "same pairs, shared", "drawn pairs, shared")


def measure(
    *, model: str, graph: str, scale: float, threads: int | None, repeats: int, **_: Any
) -> dict[str, list[float]]:
    """Seconds of evaluations of as many pairs, in turn, by `KINDS`; weights as before training."""
    settings = config(model, graph)
    place = hardware.set_up(device="cpu", threads=threads, deterministic=True)
    bench = prepare(load(graph, settings, scale=scale), settings, place)
    seeded = torch.Generator().manual_seed(0)
    links, num_nodes = bench.sampler.targets, bench.graph.num_nodes
    count = max(1, round(EVALUATED_PAIRS * scale) // PER_POSITIVE)
    positives = links[:, torch.randint(links.shape[1], (count,), generator=seeded)]
    own = _own(positives, num_nodes, seeded)
    same = own.reshape(2, -1)[:, torch.randperm(own[0].numel(), generator=seeded)]
    drawn = torch.randint(num_nodes, (2, own[0].numel()), generator=seeded)
    negatives = dict(zip(KINDS, (own, same, drawn), strict=True))
    evaluations = {
        kind: (lambda pairs=pairs: bench.evaluate(positives, pairs))
        for kind, pairs in negatives.items()
    }
    times = in_turn(evaluations, repeats)
    return {kind: list(found.seconds) for kind, found in times.items()}


def _own(positives: Tensor, num_nodes: int, generator: torch.Generator) -> Tensor:
    """(2, P, 500): one half keeps the source, the other the target."""
    shape = positives.shape[1], PER_POSITIVE // 2
    source, target = (end.unsqueeze(1).expand(shape) for end in positives)
    first, second = torch.randint(num_nodes, (2, *shape), generator=generator)
    keep_source, keep_target = torch.stack([source, first]), torch.stack([second, target])
    return torch.cat([keep_source, keep_target], dim=2)
