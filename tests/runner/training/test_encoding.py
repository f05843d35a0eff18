"""The encoder on a batch's receptive field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.runner.experiment.test_ogb_runs import UNDIRECTED, write
from tests.runner.experiment.test_processes import TWO, WITHOUT_CHANCE, rows
from tests.runner.experiment.test_resume import SETTING, assert_same_weights, curve, kill_after

from runner.errors import RunnerError
from runner.ops.csr import Graph
from runner.ops.receptive_field import receptive_field
from runner.training.encoding import FullEncoding, LocalEncoding
from runner.training.samplers import Batch
from runner.training.task import Inputs

LAYERS = ("encoder.layers=2", "train.batch_size=8", "train.epochs=1")


def trained(runner, *arguments) -> list[dict]:
    code, _, err = runner(*arguments)
    assert code == 0, err
    return rows(arguments[-1].partition("=")[2])


@pytest.mark.parametrize(("model", "sampler"), [("ncnc2", "target_link_removal"), ("ncn", "plain")])
def test_the_curve_is_that_of_the_whole_graph(runner, model, sampler):
    setting = (f"model={model}", f"sampler={sampler}", *WITHOUT_CHANCE, *LAYERS)
    whole = trained(runner, *setting, "hydra.run.dir=full")
    local = trained(runner, *setting, "encoding=local", "hydra.run.dir=local")
    every = ("encoding=sampled", "encoding.fan_outs=[99,99]")  # no node has as many
    sampled = trained(runner, *setting, *every, "hydra.run.dir=sampled")
    for a, b, c in zip(whole, local, sampled, strict=True):
        for key in ("loss", "gradient_norm"):
            assert b[key] == pytest.approx(a[key], rel=5e-4)
            assert c[key] == pytest.approx(a[key], rel=5e-4)


def test_fewer_neighbours_train_otherwise_and_are_another_experiment(runner):
    setting = ("model=ncn", *WITHOUT_CHANCE, *LAYERS)
    whole = trained(runner, *setting, "hydra.run.dir=full")
    few = ("encoding=sampled", "encoding.fan_outs=[2,1]")
    sampled = trained(runner, *setting, *few, "hydra.run.dir=sampled")
    assert sampled[-1]["loss"] != pytest.approx(whole[-1]["loss"], rel=1e-3)
    ids = [json.loads(Path(x, "meta.json").read_text())["experiment"] for x in ("full", "sampled")]
    assert ids[0] != ids[1]


def test_a_stopped_run_ends_in_the_same_bits(runner, monkeypatch):
    setting = (*SETTING, "train.epochs=2", "encoding=sampled", "encoding.fan_outs=[3]")
    trained(runner, *setting, "hydra.run.dir=whole")
    with monkeypatch.context() as patch:
        kill_after(patch, 13)
        runner(*setting, "hydra.run.dir=stopped")
    code, _, err = runner("resume=stopped")
    assert code == 0, err
    assert curve(Path("whole")) == curve(Path("stopped"))
    assert_same_weights(Path("whole"), Path("stopped"))


def test_it_says_what_is_cheaper(runner):
    code, out, err = runner(
        "model=gae", "dataset=lesmis", "tracker=none", "train.epochs=1", "train.batch_size=1",
        "encoding=local",
    )  # fmt: skip
    assert (
        code == 0
        and "of 77 nodes" in out + err
        and "encoding=local is cheaper than encoding=full" in out + err
    )
    code, out, err = runner(
        "model=ncn", *WITHOUT_CHANCE, "train.epochs=1", "encoding=local", "train.batch_size=64"
    )
    assert code == 0 and "encoding=full is cheaper than encoding=local" in out + err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("encoding=sampled", "encoding.fan_outs=[5,3]"), "encoder.layers=1"),
        (("encoding=sampled", "encoding.fan_outs=[0]"), "encoding.fan_outs: [0]"),
        (("encoding=sampled", "encoding.fan_outs=abc"), "valid integer, or a valid list"),
        (("encoding=local", "encoding.fan_outs=[]"), "encoding.fan_outs"),
        (("~encoding",), "every run has one"),
    ],
)
def test_what_is_wrong_is_named(runner, given, message):
    code, out, err = runner("model=ncn", *WITHOUT_CHANCE, "train.epochs=1", *given)
    assert code == 1 and message in err and "Traceback" not in out + err


class Unknown(torch.nn.Module):
    reweighting = None
    reach, layers = 1, None
    predictor = encoder = property(lambda self: self)


def test_parts_that_do_not_say_how_far_they_see_are_refused():
    graph = Graph.from_edges(torch.tensor([[0, 1], [1, 2]]), 3)
    with pytest.raises(RunnerError, match="`layers`"):
        LocalEncoding(fan_outs=None).prepare(Unknown(), graph, graph.row[None], 1)
    FullEncoding().prepare(Unknown(), graph, graph.row[None], 1)


def test_a_survey_is_made_where_the_graph_is(monkeypatch):
    """A device without memory stands for a GPU; the targets are in main memory."""

    class Model(torch.nn.Module):
        reweighting = None
        reach, layers = 1, 1
        predictor = encoder = property(lambda self: self)

    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    graph = Graph.from_edges(edges, 5)
    there = Graph(graph.rowptr.to("meta"), graph.col.to("meta"))
    asked = []

    def field(graph, pairs, **_):
        asked.append(pairs)
        return receptive_field(Graph.from_edges(edges, 5), edges, reach=1, layers=1)

    monkeypatch.setattr("runner.training.encoding.receptive_field", field)
    LocalEncoding(fan_outs=None).prepare(Model(), there, edges, 2)
    assert [(pairs.is_meta, pairs.shape) for pairs in asked] == [(True, (2, 4))]


def test_links_that_a_batch_hid_are_back_for_the_next():
    class Model(torch.nn.Module):
        reweighting = None
        reach, layers = 1, 1
        predictor = encoder = property(lambda self: self)

    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    graph = Graph.from_edges(edges, 5)
    encoding = LocalEncoding(fan_outs=None)
    encoding.prepare(Model(), graph, edges, 1)
    hidden = graph.find(torch.tensor([[0, 1], [1, 0]]))
    pair, other = torch.tensor([[0], [1]]), torch.tensor([[4], [0]])
    without = encoding.view(Inputs(torch.arange(5), graph), Batch(graph, pair, other, hidden))
    elsewhere = graph.find(torch.tensor([[2, 3], [3, 2]]))
    again = encoding.view(Inputs(torch.arange(5), graph), Batch(graph, pair, other, elsewhere))
    assert without.view.graph.find(without.positives).tolist() == [-1]
    assert again.view.graph.find(again.positives).item() >= 0
    assert without.features[without.positives].tolist() == pair.tolist()
    assert without.features[without.negatives].tolist() == other.tolist()


def test_embeddings_and_features_may_live_elsewhere(runner, tmp_path):
    """Where they live changes nothing; sparse updates do."""
    write(tmp_path, "ogbl-ddi", "target", UNDIRECTED)
    setting = (
        "model=ncn", "dataset=ogbl-ddi", f"dataset.root={tmp_path}", "tracker=none",
        "encoder.hidden=8", "train.epochs=1", "train.batch_size=32", "train.clip_norm=1.0",
        "encoding=local",
    )  # fmt: skip
    places = {
        "device": (),
        "host": ("hardware.embeddings=host", "hardware.features=host"),
        "disk": ("hardware.embeddings=disk",),
    }
    for name, place in places.items():
        trained(runner, *setting, "encoder.sparse_embedding=true", *place, f"hydra.run.dir={name}")
    assert curve(Path("device")) == curve(Path("host")) == curve(Path("disk"))
    trained(runner, *setting, "hydra.run.dir=dense")
    assert curve(Path("dense")) != curve(Path("device"))
    assert_same_weights(Path("device"), Path("disk"))
    code, _, err = runner(*setting, "hardware.embeddings=disk")
    assert code == 1 and "encoder.sparse_embedding=true" in err


@pytest.mark.command
def test_two_processes_train_as_one_and_sum_gradients_of_rows(runner, tmp_path):
    write(tmp_path, "ogbl-ddi", "target", UNDIRECTED)
    setting = (
        "model=ncn", "dataset=ogbl-ddi", f"dataset.root={tmp_path}", "tracker=none", *TWO,
        "encoder.hidden=8", "train.epochs=1", "train.batch_size=64", "encoding=local",
        "model.dropout=0", "model.edge_dropout=0", "encoder.sparse_embedding=true",
        *(f"encoder.{kind}_dropout=0" for kind in ("input", "hidden", "output", "edge")),
    )  # fmt: skip
    alone = trained(runner, *setting, "hardware.processes=1", "hydra.run.dir=one")
    together = trained(runner, *setting, "hydra.run.dir=two")
    assert together[0]["loss"] == pytest.approx(alone[0]["loss"], rel=1e-4)
    assert together[0]["gradient_norm"] == pytest.approx(alone[0]["gradient_norm"], rel=1e-4)
