"""Sketches against the release's, against sets, and one form against the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, random_edges
from tests.releases.reference import assert_close, fixed_input, read_reference

from runner.ops import backend, sketches
from runner.ops.csr import Graph
from runner.ops.distance_counts import distance_counts
from runner.ops.sketches import estimated_counts, sketch_balls, sketch_nodes


def minima(found):
    """As the release keeps them."""
    return (2**31 - 1 - found.minhash.long()).numpy()


def test_the_release_s_bits(form):
    stored = read_reference("buddy")
    graph, *_ = fixed_input()
    found = sketch_balls(graph, 3)
    for hop in range(3):
        assert np.array_equal(minima(found)[hop], stored[f"sketch/minhash{hop}"])
        assert np.array_equal(found.registers[hop].numpy(), stored[f"sketch/hll{hop}"])
    assert_close(found.sizes, stored["sketch/cards"], by_column=True)
    threshold, middles, bias = sketches._bias()
    assert threshold == stored["sketch/threshold"] and len(bias) == len(middles) + 1
    np.testing.assert_allclose(sketches._ALPHA, stored["sketch/alpha"])


def test_a_ball_is_the_union_of_its_nodes(form):
    """Of a graph with a hub and a node without links, whose ids are others."""
    graph = Graph.from_edges(torch.from_numpy(random_edges(0)), NUM_NODES)
    nodes = torch.arange(NUM_NODES) * 7919 + 12345
    alone = sketch_nodes(nodes)
    found = sketch_balls(graph, 2, alone)
    reach = torch.eye(NUM_NODES, dtype=torch.bool)
    for hop in range(3):
        for u in range(NUM_NODES):
            for balls, single in zip((found.minhash, found.registers), alone, strict=True):
                assert torch.equal(balls[hop, u], single[reach[u]].amax(0))
        reach = reach | (reach.double() @ graph.matrix[:, :NUM_NODES].double() > 0)


def test_forms_agree_over_threads(two_threads):
    graph = Graph.from_edges(torch.randint(2000, (2, 5000)), 2000)
    pairs = torch.randint(2000, (2, 9000))
    found = sketch_balls(graph, 2)
    with backend.plain():
        expected = sketch_balls(graph, 2)
        counts = estimated_counts(expected, pairs)
    assert torch.equal(found.minhash, expected.minhash)
    assert torch.equal(found.registers, expected.registers)
    for name in ("shared", "first", "second"):
        ours = getattr(estimated_counts(found, pairs), name)
        torch.testing.assert_close(ours, getattr(counts, name))


def test_estimates_are_near_the_counts(form):
    generator = torch.Generator().manual_seed(0)
    graph = Graph.from_edges(torch.randint(1500, (2, 12_000), generator=generator), 1500)
    pairs = torch.randint(1500, (2, 300), generator=generator)
    exact, found = distance_counts(graph, pairs, 2), estimated_counts(sketch_balls(graph, 2), pairs)
    sizes = (found.first / exact.first - 1).abs()
    assert float(sizes.mean()) < 0.05
    largest = (found.shared[:, 1, 1] - exact.shared[:, 1, 1]).abs() / exact.first[:, 1]
    assert float(largest.mean()) < 0.08


@pytest.mark.parametrize("size", [1, 40, 300, 1200, 50_000])
def test_a_large_set_is_counted_up_to_seven_percent(size):
    """Counting of empty registers, the table of biases, and beyond it."""
    chance = torch.Generator().manual_seed(0)
    found = []
    for _ in range(8):
        nodes = torch.randint(2**40, (size,), generator=chance)
        registers = sketch_nodes(nodes)[1].amax(0)
        total = registers.double().neg().exp2().sum()
        found.append(float(sketches._sizes(total, (registers == 0).sum())) / size)
    assert np.mean(found) == pytest.approx(1, abs=0.07)


def test_the_mean_of_the_six_nearest_biases():
    """By a sort of the whole table."""
    stored = read_reference("buddy")
    table, bias = stored["sketch/raw_estimate"], stored["sketch/bias"]
    estimates = np.random.default_rng(0).uniform(170, 1200, 200)
    nearest = np.argsort(np.abs(table[None] - estimates[:, None]), axis=1)[:, :6]
    _, middles, means = sketches._bias()
    found = means[torch.searchsorted(middles, torch.from_numpy(estimates))]
    np.testing.assert_allclose(found.numpy(), bias[nearest].mean(1), rtol=1e-5)
