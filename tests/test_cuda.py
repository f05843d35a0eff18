"""On a GPU: the numbers of the CPU, to rounding, and the same bits every time."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from tests.dense_reference import NUM_NODES, random_edges, some_pairs
from tests.models.test_predictors import MODELS, build
from tests.runner.experiment.test_ogb_runs import UNDIRECTED, write
from tests.runner.experiment.test_processes import WITHOUT_CHANCE, rows

from runner.models.convolution import GCN, GIN, SAGE, PureGCN, PureMax, PureMean, PureSum
from runner.models.message_passing import MessagePassing
from runner.models.sir_gcn import SIR, sir_convolution
from runner.ops import backend, dense
from runner.ops.aggregate import pool
from runner.ops.csr import Graph
from runner.ops.distinct import distinct_pairs
from runner.ops.overlap import common_neighbours, neighbourhoods, sum_over_common_neighbours
from runner.ops.propagate import propagate
from runner.ops.receptive_field import receptive_field
from runner.ops.sample import sample_neighbours
from runner.ops.two_hop import two_hop_overlaps

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
    # torch's, of operators that have no deterministic form there.
    pytest.mark.filterwarnings("default"),
]
GPU = torch.device("cuda")


@pytest.fixture(params=range(3))
def case(request):
    edges = random_edges(request.param)
    graph = Graph.from_edges(torch.from_numpy(edges), NUM_NODES)
    return graph, torch.from_numpy(some_pairs(edges))


def assert_same_lists(found, expected):
    assert found.rowptr.tolist() == expected.rowptr.tolist()
    assert found.node.tolist() == expected.node.tolist()


def test_lists(case):
    graph, pairs = case
    there, asked = graph.to(GPU), pairs.to(GPU)
    assert_same_lists(common_neighbours(there, asked), common_neighbours(graph, pairs))
    for operator in (neighbourhoods, two_hop_overlaps):
        for found, expected in zip(operator(there, asked), operator(graph, pairs), strict=True):
            assert_same_lists(found, expected)
    built = Graph.from_edges(torch.stack((graph.row, graph.col)).to(GPU), NUM_NODES)
    assert (built.rowptr.tolist(), built.col.tolist()) == (
        graph.rowptr.tolist(),
        graph.col.tolist(),
    )


@pytest.mark.parametrize("replacement", [False, True])
def test_samples_are_those_of_the_cpu(case, replacement):
    graph, pairs = case
    drawn = []
    for where in (torch.device("cpu"), GPU):
        lists = neighbourhoods(graph.to(where), pairs.to(where))[1]
        generator = torch.Generator().manual_seed(0)
        drawn.append(sample_neighbours(lists, 2, generator, replacement=replacement))
    (here, weight), (there, weight_there) = drawn
    assert_same_lists(there, here)
    torch.testing.assert_close(weight_there.cpu(), weight)


def test_distinct_pairs(case):
    _, pairs = case
    pairs = pairs.repeat(1, 2)
    distinct, number = distinct_pairs(pairs.to(GPU), NUM_NODES)
    ordered = torch.stack([pairs.amin(0), pairs.amax(0)])
    assert torch.equal(distinct[:, number].cpu(), ordered)
    assert distinct.size(1) == distinct_pairs(pairs, NUM_NODES)[0].size(1)


def both_places(function, *tensors):
    """Outputs and gradients here and there, all on the CPU."""
    results = []
    for where in ("cpu", "cuda"):
        moved = [t.detach().to(where).requires_grad_(t.requires_grad) for t in tensors]
        out = function(*moved)
        upstream = torch.linspace(-1, 1, out.numel(), device=where, dtype=out.dtype).view_as(out)
        wanted = [t for t in moved if t.requires_grad]
        gradients = torch.autograd.grad(out, wanted, upstream)
        results.append([t.detach().cpu() for t in (out, *gradients)])
    return results


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "weighted"])
def test_pool(case, reduce):
    graph, _ = case
    x = torch.randn(NUM_NODES, 7, requires_grad=True)
    weight = torch.rand(graph.num_entries, requires_grad=reduce == "weighted")

    def pooled(x, weight, rowptr, col):
        if reduce == "weighted":
            return pool(x, rowptr, col, weight=weight)
        return pool(x, rowptr, col, reduce=reduce)

    here, there = both_places(pooled, x, weight, graph.rowptr, graph.col)
    torch.testing.assert_close(there, here)


@pytest.mark.parametrize("weighted", [False, True])
def test_propagate(case, weighted):
    graph, _ = case
    x = torch.randn(NUM_NODES, 7, requires_grad=True)
    weight = torch.rand(graph.num_entries)

    def propagated(x, weight, rowptr, col):
        return propagate(x, Graph(rowptr, col), weight if weighted else None)

    here, there = both_places(propagated, x, weight, graph.rowptr, graph.col)
    torch.testing.assert_close(there, here)


def test_sums_over_common_neighbours_by_lists_and_by_products(case, monkeypatch):
    graph, pairs = case
    x, start = torch.randn(NUM_NODES, 7), torch.randn(7)
    expected = sum_over_common_neighbours(graph, pairs, x, start=start)
    given = (graph.to(GPU), pairs.to(GPU), x.to(GPU))
    for products in (False, True):
        monkeypatch.setattr(dense, "suits", lambda graph, products=products: products)
        found = sum_over_common_neighbours(*given, start=start.to(GPU))
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a.cpu(), b)


def test_which_graphs_products_suit():
    full = Graph.from_edges(torch.combinations(torch.arange(64)).T, 64)
    path = Graph.from_edges(torch.stack((torch.arange(499), torch.arange(1, 500))), 500)
    assert dense.suits(full.to(GPU)) and not dense.suits(path.to(GPU))
    with backend.plain():
        assert not dense.suits(full.to(GPU))


@pytest.mark.parametrize("fan_outs", [None, [3, 2]])
def test_receptive_field(fan_outs):
    """Of few targets, so that every layer adds nodes."""
    generator = torch.Generator().manual_seed(0)
    graph = Graph.from_edges(torch.randint(600, (2, 900), generator=generator), 600)
    targets = torch.tensor([[0, 1], [2, 3]])
    kept = torch.ones(graph.num_entries, dtype=torch.bool)
    kept[graph.find(torch.stack((graph.row, graph.col))[:, :1].repeat(1, 2))] = False
    fields = []
    for where in (torch.device("cpu"), GPU):
        given = {"reach": 1, "layers": 2, "kept": kept.to(where), "fan_outs": fan_outs}
        fields.append(receptive_field(graph.to(where), targets.to(where), **given))
    here, there = fields
    inner = here.graph.num_nodes
    assert 4 < inner < here.layers[-1].num_nodes + here.layers[-1].beyond.numel() < 600
    assert there.graph.rowptr.tolist() == here.graph.rowptr.tolist()
    assert there.graph.col.tolist() == here.graph.col.tolist()
    assert there.nodes[:inner].tolist() == here.nodes[:inner].tolist()
    assert there.local(targets.to(GPU)).tolist() == here.local(targets).tolist()
    if fan_outs is None:
        assert there.nodes.tolist() == here.nodes.tolist()
        for a, b in zip(there.layers, here.layers, strict=True):
            assert (a.rowptr.tolist(), a.col.tolist()) == (b.rowptr.tolist(), b.col.tolist())
            assert a.beyond.tolist() == b.beyond.tolist()
    else:  # which of them is drawn is another draw there, how many is not
        a, b = there.layers[-1], here.layers[-1]
        assert a.rowptr.tolist() == b.rowptr.tolist()
        torch.testing.assert_close(a.weight.cpu(), b.weight)


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_predictors(case, model, training, products, monkeypatch):
    """Logits and all gradients in float64, without dropout."""
    graph, pairs = case
    monkeypatch.setattr(dense, "suits", lambda graph: products and graph.col.is_cuda)
    torch.manual_seed(0)
    module = build(model).double().train(training)
    h = torch.randn(NUM_NODES, 6, dtype=torch.float64)
    results = []
    for where in ("cpu", "cuda"):
        moved = copy.deepcopy(module).to(where)
        given = h.clone().to(where).requires_grad_()
        logit = moved(given, graph.to(where), pairs.to(where))
        (logit * torch.linspace(-1, 1, logit.numel(), device=where)).sum().backward()
        gradients = {name: p.grad for name, p in moved.named_parameters() if p.grad is not None}
        results.append({"logit": logit.detach(), "h": given.grad, **gradients})
    here, there = results
    assert here.keys() == there.keys()
    for name, value in here.items():
        torch.testing.assert_close(there[name].cpu(), value, rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "convolution",
    [
        *(PureGCN, PureSum, PureMean, PureMax, GCN, SAGE, GIN, SIR),
        *(sir_convolution(aggregation=name) for name in ("sym", "max")),
    ],
)
def test_encoders(case, convolution, training):
    graph, _ = case
    torch.manual_seed(0)
    encoder = MessagePassing(
        num_features=5, num_categories=None, hidden=8, layers=2, convolution=convolution,
        residual=True, jumping_knowledge=True, layer_norm=True, input_dropout=0.0,
        hidden_dropout=0.0, output_dropout=0.0, edge_dropout=0.0,
    ).train(training)  # fmt: skip
    x = torch.randn(NUM_NODES, 5)
    here = encoder(x, graph)
    there = copy.deepcopy(encoder).to(GPU)(x.to(GPU), graph.to(GPU))
    torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-5)


@pytest.fixture
def fused():
    backend.fuse(True)
    yield
    backend.fuse(False)


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("model", ["ncn", "ncnc"])
def test_fused_predictors(case, model, products, fused, monkeypatch):
    graph, pairs = case
    monkeypatch.setattr(dense, "suits", lambda graph: products and graph.col.is_cuda)
    torch.manual_seed(0)
    module = build(model).to(GPU).train()
    h = torch.randn(NUM_NODES, 6, device=GPU)
    results = []
    for enabled in (False, True):
        backend.fuse(enabled)
        given = h.clone().requires_grad_()
        module.zero_grad()
        logit = module(given, graph.to(GPU), pairs.to(GPU))
        logit.sum().backward()
        results.append([logit.detach(), given.grad, *(p.grad.clone() for p in module.parameters())])
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "products", "more"),
    [
        ("ncn", False, ()),
        ("ncn", True, ()),
        ("ncnc", False, ()),
        ("ncnc", True, ()),
        ("ncnc", False, ("hardware.compile=true",)),
        ("ncnc", True, ("hardware.compile=true", "train.precision=bfloat16")),
        ("ncnc", False, ("encoding=local",)),
        ("ncn", False, ("encoding=sampled", "encoding.fan_outs=3")),
    ],
)
def test_a_run_and_its_repeat_have_the_same_bits(
    model, products, more, runner, tmp_path, monkeypatch
):
    """The second in two parts, resumed after half its epochs."""
    monkeypatch.setattr(dense, "suits", lambda graph: products)
    common = (
        f"model={model}", "dataset=lesmis", "hardware=gpu", "tracker=none", "train.batch_size=16",
        *more,
    )  # fmt: skip
    for name, epochs in (("whole", 4), ("parted", 2)):
        code, _, err = runner(*common, f"hydra.run.dir={tmp_path / name}", f"train.epochs={epochs}")
        assert code == 0, err
    code, _, err = runner(f"resume={tmp_path / 'parted'}", "train.epochs=4")
    assert code == 0, err
    whole, parted = (
        torch.load(tmp_path / name / "checkpoints" / "last.pt", weights_only=True)["model"]
        for name in ("whole", "parted")
    )
    assert whole.keys() == parted.keys()
    for name, value in whole.items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(parted[name])), name
    meta = json.loads((tmp_path / "whole" / "meta.json").read_text())
    assert meta["device"] == torch.cuda.get_device_name()


def curve(runner, name, *setting):
    code, _, err = runner(*setting, "hardware=gpu", f"hydra.run.dir={name}")
    assert code == 0, err
    return [row["loss"] for row in rows(name)]


@pytest.mark.parametrize("model", ["ncn", "ncnc2"])
def test_local_encoding_gives_the_curve_of_the_whole_graph(model, runner):
    setting = (
        f"model={model}", *WITHOUT_CHANCE, "encoder.layers=2", "train.epochs=1",
        "train.batch_size=2",
    )  # fmt: skip
    whole = curve(runner, "full", *setting)
    assert curve(runner, "local", *setting, "encoding=local") == pytest.approx(whole, rel=5e-4)
    every = ("encoding=sampled", "encoding.fan_outs=99")
    assert curve(runner, "sampled", *setting, *every) == pytest.approx(whole, rel=5e-4)


NO_DROPOUT = (
    "model.dropout=0", "model.edge_dropout=0",
    *(f"encoder.{kind}_dropout=0" for kind in ("input", "hidden", "output", "edge")),
)  # fmt: skip


@pytest.mark.parametrize("encoding", ["full", "local"])
def test_where_embeddings_live_changes_nothing(encoding, runner, tmp_path):
    write(tmp_path, "ogbl-ddi", "target", UNDIRECTED)
    setting = (
        "model=ncn", "dataset=ogbl-ddi", f"dataset.root={tmp_path}", "tracker=none", *NO_DROPOUT,
        "encoder.hidden=8", "train.epochs=1", "train.batch_size=4", f"encoding={encoding}",
        f"encoder.sparse_embedding={encoding == 'local'}",
    )  # fmt: skip
    there = curve(runner, "device", *setting)
    host = curve(runner, "host", *setting, "hardware.embeddings=host")
    assert host == pytest.approx(there, rel=1e-4)
    if encoding == "local":
        disk = curve(runner, "disk", *setting, "hardware.embeddings=disk")
        assert disk == pytest.approx(there, rel=1e-4)


@pytest.mark.parametrize("encoding", ["full", "local"])
def test_where_features_live_changes_nothing(encoding, runner):
    setting = (
        "model=ncn", "dataset=synthetic", "tracker=none", *NO_DROPOUT, "train.epochs=1",
        "train.batch_size=64", f"encoding={encoding}",
    )  # fmt: skip
    there = curve(runner, "device", *setting)
    assert curve(runner, "host", *setting, "hardware.features=host") == pytest.approx(there)
