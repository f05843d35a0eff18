"""The negatives of ogbl-citation2, with the sources that they have and with tiled ones."""

from __future__ import annotations

import pytest
import tiled_negatives
import torch

import runner
from runner.config.schema import RunConfig
from runner.experiment.build import load_data


def test_each_target_is_scored_with_its_own_source_and_with_another_ones(made_once):
    run = runner.load(made_once("dataset=lesmis", "model=cn", "tracker=none"))
    data = load_data(RunConfig.read(run.config))
    targets = tiled_negatives.draw_targets(data, torch.Generator().manual_seed(3))
    sources, count = data.test.positive[0].tolist(), tiled_negatives.TARGETS
    linked = torch.zeros(data.num_nodes, data.num_nodes)
    for part in (data.train, data.valid.positive, data.test.positive):
        linked[part[0], part[1]] = linked[part[1], part[0]] = 1
    scores = torch.zeros_like(linked)
    for u, v in data.train.t().tolist():
        scores[u, v] = scores[v, u] = 1
    scores = scores @ scores

    def rank(link: int, negatives: list[float]) -> float:
        own = scores[tuple(data.test.positive[:, link])]
        return 1 + sum((s > own) + 0.5 * (s == own) for s in negatives)

    ranks: dict[str, list[float]] = {"own": [], "tiled": []}
    for link, (source, row) in enumerate(zip(sources, targets.tolist(), strict=True)):
        assert len(row) == count
        assert all(t != source and not linked[source, t] for t in row)
        places = range(link * count, (link + 1) * count)
        others = [sources[place % len(sources)] for place in places]
        ranks["own"].append(rank(link, [float(scores[source, t]) for t in row]))
        tiled = [float(scores[s, t]) for s, t in zip(others, row, strict=True)]
        ranks["tiled"].append(rank(link, tiled))
    expected = [torch.tensor(of, dtype=torch.float64).reciprocal().mean() for of in ranks.values()]
    found = tiled_negatives.both_ways(run, 3)
    assert found == pytest.approx([float(of) for of in expected], rel=1e-5)
    assert abs(found[0] - found[1]) > 0.01
