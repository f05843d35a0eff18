from __future__ import annotations

import pytest
import torch
from tests.dense_reference import NUM_NODES, random_edges
from torch.utils._python_dispatch import TorchDispatchMode

from runner.ops import backend
from runner.ops.csr import Adjacency, Graph
from runner.ops.messages import Activation, pool_messages, reduce_messages

BENT = {
    "relu": torch.relu,
    "none": lambda x: x,
    "leaky_relu": lambda x: torch.where(x > 0, x, x / 5),
}
WIDTH = 5


@pytest.fixture(params=["symmetric", "directed", "bipartite"])
def graph(request):
    whole = Graph.from_edges(torch.from_numpy(random_edges(0)), NUM_NODES)
    if request.param == "symmetric":
        return whole
    seeded = torch.Generator().manual_seed(0)
    thin = whole.keep(torch.rand(whole.num_entries, generator=seeded) < 0.6)
    if request.param == "directed":
        return thin
    return Adjacency(thin.rowptr[:8], thin.col[: thin.rowptr[7]])


def inputs(graph, weighted=True):
    seeded = torch.Generator().manual_seed(1)
    draw = {"dtype": torch.float64, "generator": seeded}
    query = torch.randn(graph.num_nodes, WIDTH, **draw).requires_grad_()
    key = torch.randn(NUM_NODES, WIDTH, **draw).requires_grad_()
    shares = torch.rand(graph.num_entries, **draw) + 0.5, torch.rand(NUM_NODES, **draw) + 0.5
    return (query, key), {"weight": shares[0], "scale": shares[1]} if weighted else {}


def dense(query, key, graph, f, reduce, weight=None, scale=None):
    """All N messages of every row, those of strangers left out."""
    row = torch.repeat_interleave(torch.arange(graph.num_nodes), graph.degree())
    share = torch.zeros(graph.num_nodes, len(key), dtype=key.dtype)
    share[row, graph.col.long()] = 1.0 if weight is None else weight
    linked = share != 0
    made = f(query[:, None] + key[None])
    if reduce == "max":
        made = made.masked_fill(~linked[:, :, None], -torch.inf).amax(1)
        return torch.where(linked.any(1)[:, None], made, 0)
    share = share if scale is None else share * scale
    return (share[:, :, None] * made).sum(1)


def assert_same(found, expected, given):
    torch.testing.assert_close(found, expected)
    upstream = torch.linspace(-1, 2, found.numel(), dtype=found.dtype).view_as(found)
    gradients = [torch.autograd.grad(out, given, upstream) for out in (found, expected)]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [*BENT, "gelu"])
def test_sums_and_their_gradients(graph, name, weighted, form):
    given, shares = inputs(graph, weighted)
    f = BENT.get(name, torch.nn.functional.gelu)
    found = pool_messages(*given, graph, Activation(name, 0.2), **shares)
    assert_same(found, dense(*given, graph, f, "sum", **shares), given)


def test_a_maximum_of_mapped_messages_and_its_gradient(graph):
    given, _ = inputs(graph)
    relation = torch.nn.Linear(WIDTH, 3).double()
    found = reduce_messages(*given, graph, lambda sums, _: relation(sums.relu()), reduce="max")
    expected = dense(*given, graph, lambda x: relation(x.relu()), "max")
    assert_same(found, expected, (*given, *relation.parameters()))


def test_messages_know_their_entries(graph):
    given, shares = inputs(graph)
    added = torch.randn(graph.num_entries, WIDTH, dtype=torch.float64)
    row = torch.repeat_interleave(torch.arange(graph.num_nodes), graph.degree())
    everywhere = torch.zeros(graph.num_nodes, NUM_NODES, WIDTH, dtype=torch.float64)
    everywhere[row, graph.col.long()] = added
    found = reduce_messages(*given, graph, lambda s, of: (s + added[of]).tanh(), **shares)
    expected = dense(*given, graph, lambda x: (x + everywhere).tanh(), "sum", **shares)
    assert_same(found, expected, given)


@pytest.mark.parametrize("nodes", [0, 3])
@pytest.mark.parametrize("name", ["relu", "gelu"])
def test_no_entries(nodes, name):
    graph = Graph.from_edges(torch.zeros(2, 0, dtype=torch.int64), nodes)
    query, key = torch.randn(2, nodes, 4, requires_grad=True)
    out = pool_messages(query, key, graph, Activation(name))
    assert out.shape == (nodes, 4) and not out.any()
    out.sum().backward()


def crowded():
    """400 nodes with 40 neighbours each, one with nearly all."""
    edges = torch.randint(400, (2, 8_000), generator=torch.Generator().manual_seed(0))
    hub = torch.stack((torch.zeros(400, dtype=torch.int64), torch.arange(400)))
    return Graph.from_edges(torch.cat((edges, hub), 1), 400)


@pytest.mark.parametrize("name", ["relu", "gelu", "max"])
def test_never_makes_every_message(name, form):
    """No tensor of E messages, nor an eighth of them, forward or backward."""
    graph, largest = crowded(), 0
    query, key = torch.randn(2, 400, 32).requires_grad_()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, (tuple, list)) else (out,):
                if isinstance(tensor, torch.Tensor):
                    largest = max(largest, tensor.numel())
            return out

    with Watch():
        if name == "max":
            out = reduce_messages(query, key, graph, lambda sums, _: sums.relu(), reduce="max")
        else:
            out = pool_messages(query, key, graph, Activation(name))
        out.sum().backward()
    assert 0 < largest < graph.num_entries * 32 / 8


@pytest.mark.parametrize("name", ["relu", "gelu", "max"])
def test_threads_change_no_bit(name):
    """Neither does the number of runs."""
    graph, runs = crowded(), []
    for threads in (1, 3, 3):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        query, key = torch.linspace(-1, 1, 2 * 400 * 32).view(2, 400, 32).sin().requires_grad_()
        if name == "max":
            out = reduce_messages(query, key, graph, lambda sums, _: sums.tanh(), reduce="max")
        else:
            weight = torch.linspace(1, 2, graph.num_entries)
            out = pool_messages(query, key, graph, Activation(name), weight=weight)
        runs.append((out, *torch.autograd.grad(out, (query, key), torch.ones_like(out).cumsum(0))))
        torch.set_num_threads(before)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


@pytest.mark.parametrize("name", ["relu", "gelu"])
def test_half_precision_is_summed_in_float32(name, form):
    graph = crowded()
    query, key = torch.randn(2, 400, 8).bfloat16()
    found = pool_messages(query, key, graph, Activation(name))
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found, pool_messages(query.float(), key.float(), graph, Activation(name))
    )


def test_what_was_plain_may_be_differentiated_outside():
    graph = Graph.from_edges(torch.from_numpy(random_edges(0)), NUM_NODES)
    given, _ = inputs(graph)
    with backend.plain():
        plain = pool_messages(*given, graph, Activation("relu"))
    assert_same(plain, pool_messages(*given, graph, Activation("relu")), given)
