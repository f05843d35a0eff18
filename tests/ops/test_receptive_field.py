from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import NUM_NODES, adjacency, random_edges
from tests.grids import every_pair

from runner.ops import backend
from runner.ops.csr import Graph
from runner.ops.edge_dropout import drop_entries
from runner.ops.receptive_field import receptive_field

EDGES = random_edges(3)
GRAPH = Graph.from_edges(torch.from_numpy(EDGES), NUM_NODES)
HUB = int(GRAPH.degree().argmax())
TARGETS = torch.tensor([[0, 3], [5, HUB]])


def dense(rowptr, col, rows, columns):
    matrix = np.zeros((rows, columns), dtype=int)
    for u in range(rows):
        for w in col[rowptr[u] : rowptr[u + 1]].tolist():
            matrix[u, w] += 1
    return matrix


def within(matrix, start, steps):
    """By powers of the matrix: nodes at most so many steps away."""
    near = np.zeros(len(matrix), dtype=bool)
    near[start] = True
    for _ in range(steps):
        near |= matrix[near].any(axis=0)
    return np.flatnonzero(near)


def hidden_links():
    """A mask without two of the hub's links, and the matrix without them."""
    matrix = adjacency(EDGES, NUM_NODES).copy()
    kept = torch.ones(GRAPH.num_entries, dtype=torch.bool)
    others = np.flatnonzero(matrix[HUB])[:2]
    for other in others:
        matrix[HUB, other] = matrix[other, HUB] = 0
        pairs = torch.tensor([[HUB, other], [other, HUB]])
        kept[GRAPH.find(pairs)] = False
    return kept, matrix


@every_pair(
    form=["compiled", "plain"],
    reach=[0, 1, 2],
    layers=[0, 1, 3],
    hidden=[False, True],
    indirect=["form"],
)
def test_it_holds_what_powers_of_the_matrix_say(form, reach, layers, hidden):
    kept, matrix = hidden_links() if hidden else (None, adjacency(EDGES, NUM_NODES))
    field = receptive_field(GRAPH, TARGETS, reach=reach, layers=layers, kept=kept)
    start = TARGETS.flatten().numpy()
    nodes = field.nodes.numpy()
    inner = within(matrix, start, reach)
    assert nodes[: field.graph.num_nodes].tolist() == inner.tolist()
    assert sorted(nodes) == within(matrix, start, reach + layers).tolist()
    induced = dense(field.graph.rowptr, field.graph.col, len(inner), len(inner))
    assert np.array_equal(induced, matrix[np.ix_(inner, inner)])
    rows = [np.diff(field.graph.col[a:b]) for a, b in field.graph.rowptr.unfold(0, 2, 1)]
    assert all((row > 0).all() for row in rows)  # ascending, as predictors need them
    assert len(field.layers) == layers
    for depth, layer in zip(range(layers - 1, -1, -1), field.layers, strict=True):
        own = len(within(matrix, start, reach + depth))
        columns = len(within(matrix, start, reach + depth + 1))
        assert layer.num_nodes == own and layer.beyond.numel() == columns - own
        expected = matrix[np.ix_(nodes[:own], nodes[:columns])]
        assert np.array_equal(dense(layer.rowptr, layer.col, own, columns), expected)
        assert layer.beyond.tolist() == matrix[nodes[own:columns]].sum(axis=1).tolist()
        assert layer.weight is None
    assert torch.equal(field.nodes[field.local(TARGETS)], TARGETS)


def test_both_forms_are_the_same(two_threads):
    edges = torch.randint(4000, (2, 30_000))
    graph = Graph.from_edges(edges, 4000)
    found = receptive_field(graph, edges[:, :50], reach=1, layers=2)
    with backend.plain():
        expected = receptive_field(graph, edges[:, :50], reach=1, layers=2)
    assert torch.equal(found.nodes, expected.nodes)
    for a, b in zip((found.graph, *found.layers), (expected.graph, *expected.layers), strict=True):
        assert torch.equal(a.rowptr, b.rowptr) and torch.equal(a.col, b.col)


def test_fan_outs_draw_neighbours_and_weigh_them(form):
    torch.manual_seed(0)
    field = receptive_field(GRAPH, TARGETS, reach=1, layers=2, fan_outs=[2, 1])
    matrix = adjacency(EDGES, NUM_NODES)
    inner = within(matrix, TARGETS.flatten().numpy(), 1)
    assert field.nodes[: field.graph.num_nodes].tolist() == inner.tolist()  # all of them are read
    degree = torch.from_numpy(matrix.sum(axis=1))
    outer, last = field.layers
    assert last.rowptr.diff().tolist() == degree[inner].clamp(max=2).tolist()
    assert outer.rowptr.diff()[len(inner) :].max() == 1
    for layer in field.layers:
        rows = torch.repeat_interleave(torch.arange(layer.num_nodes), layer.rowptr.diff())
        nodes = field.nodes[: layer.num_nodes]
        assert matrix[nodes[rows], field.nodes[layer.col.long()]].all()
        weights = torch.zeros(layer.num_nodes).index_add_(0, rows, layer.weight)
        torch.testing.assert_close(weights, degree[nodes].float())


@pytest.mark.parametrize("hidden", [False, True])
def test_every_neighbour_is_drawn_as_often(form, hidden):
    """Of the hub, all of whose neighbours that are there have the same chance, and all pairs.

    In ten calls, each on 200 copies of the graph side by side.
    """
    kept, matrix = hidden_links() if hidden else (None, adjacency(EDGES, NUM_NODES))
    copies, calls, k = 200, 10, 3
    shift = NUM_NODES * torch.arange(copies)
    edges = torch.stack((GRAPH.row, GRAPH.col)).unsqueeze(1) + shift.unsqueeze(1)
    graph = Graph.from_edges(edges.flatten(1), copies * NUM_NODES)
    kept = None if kept is None else kept.repeat(copies)
    torch.manual_seed(0)
    draws = copies * calls
    times = np.zeros(NUM_NODES)
    together = np.zeros((NUM_NODES, NUM_NODES))
    for _ in range(calls):
        field = receptive_field(graph, HUB + shift, reach=0, layers=1, kept=kept, fan_outs=[k])
        assert field.nodes[:copies].tolist() == (HUB + shift).tolist()
        nodes = field.nodes[field.layers[0].col.long()].view(copies, k)
        assert torch.equal(nodes // NUM_NODES, torch.arange(copies).unsqueeze(1).expand(-1, k))
        for drawn in (nodes % NUM_NODES).numpy():
            assert len(set(drawn)) == k
            times[drawn] += 1
            together[np.ix_(drawn, drawn)] += 1
    there = matrix[HUB] > 0
    n = int(there.sum())
    assert n > k and not times[~there].any()
    share = k / n
    assert np.abs(times[there] / draws - share).max() < 5 * (share * (1 - share) / draws) ** 0.5
    pairs = together[np.ix_(there, there)][~np.eye(n, dtype=bool)] / draws
    share = k * (k - 1) / n / (n - 1)
    assert np.abs(pairs - share).max() < 5 * (share * (1 - share) / draws) ** 0.5


def test_threads_change_no_draw(two_threads):
    edges = torch.randint(4000, (2, 60_000))
    graph = Graph.from_edges(edges, 4000)
    draws = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        draws.append(receptive_field(graph, edges[:, :50], reach=1, layers=2, fan_outs=[4, 3]))
    assert torch.equal(draws[0].nodes, draws[1].nodes)
    assert torch.equal(draws[0].layers[0].col, draws[1].layers[0].col)


def test_fan_outs_as_large_as_every_degree_leave_nothing_out():
    whole = receptive_field(GRAPH, TARGETS, reach=1, layers=2)
    drawn = receptive_field(GRAPH, TARGETS, reach=1, layers=2, fan_outs=[99, 99])
    assert torch.equal(whole.nodes, drawn.nodes)
    for a, b in zip(whole.layers, drawn.layers, strict=True):
        assert torch.equal(a.col, b.col) and (b.weight == 1).all()


def test_edge_dropout_thins_the_degrees_beyond():
    torch.manual_seed(0)
    (layer,) = receptive_field(GRAPH, TARGETS, reach=0, layers=1).layers
    draws = [drop_entries(layer, 0.4) for _ in range(2000)]
    mean = torch.stack([draw.beyond for draw in draws]).mean(0)
    assert ((mean - layer.beyond).abs() <= 5 * (layer.beyond * 0.4 / 0.6 / 2000).sqrt()).all()
    share = sum(draw.num_entries for draw in draws) / 2000 / layer.num_entries
    assert share == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"targets": torch.tensor([NUM_NODES])}, "targets holds ids"),
        ({"fan_outs": [3]}, "fan_outs needs 2 numbers"),
    ],
)
def test_wrong_input_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(GRAPH, **{"targets": TARGETS, "reach": 1, "layers": 2, **given})
