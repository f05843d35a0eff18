"""Audits of whole runs: what leaks is caught, and all that is shipped passes."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from tests.test_configs import MODELS
from torch import nn

from runner.experiment import audited, parts
from runner.experiment import run as experiment
from runner.experiment.graphs import build_graphs
from runner.models.predictor import Predictor
from runner.ops.csr import Graph
from runner.training.samplers import TargetLinkRemoval

HERE = __name__
QUICK = ("dataset=lesmis", "tracker=none", "hardware.threads=1")
SMALL = (*QUICK, "encoder.hidden=8", "train.epochs=1")
KEEP = (
    "model=ncnc2", "model.completion.keep_eval=2", "model.completion.keep_train=2",
    "model.completion.o=-1",  # so that what is drawn has weight
)  # fmt: skip


class Killed(Exception):
    """As by the kernel: nothing more is written."""


class Trained(Predictor):
    """The product of both ends, learned; what the doubles below add stands in `bonus`."""

    reach = 0

    def __init__(self, *, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, 1)

    def forward(self, h, view, pairs):
        scores = self.linear(h[pairs[0]] * h[pairs[1]]).squeeze(-1)
        return scores + self.bonus(view, pairs)

    def bonus(self, view, pairs):
        return 0.0


class Normalised(Trained):
    """By how often the hub is met in the batch, in evaluation and of some pairs alone."""

    def bonus(self, view, pairs):
        if self.training:
            return 0.0
        hub = int(view.graph.degree().argmax())
        meets = (view.graph.find(torch.stack([pairs[0], torch.full_like(pairs[0], hub)])) >= 0) & (
            view.graph.find(torch.stack([pairs[1], torch.full_like(pairs[1], hub)])) >= 0
        )
        return meets / meets.sum().clamp(min=1)


class Remembering(Trained):
    """Its structure of a graph has the links of all graphs that it has seen: validation's too."""

    def __init__(self, *, hidden: int) -> None:
        super().__init__(hidden=hidden)
        self.links = None

    def structure(self, graph):
        dense = torch.zeros(graph.num_nodes, graph.num_nodes)
        dense[graph.row, graph.col.long()] = 1.0
        self.links = dense if self.links is None else self.links.copy_(self.links.maximum(dense))
        return self.links

    def bonus(self, view, pairs):
        return view.structure[pairs[0], pairs[1]]


class Structured(Trained):
    """Scores by its structure, which has the links of the graph; unless it heeds hidden ones."""

    heeds: ClassVar[bool] = False

    def structure(self, graph):
        dense = torch.zeros(graph.num_nodes, graph.num_nodes)
        dense[graph.row, graph.col.long()] = 1.0
        return dense

    def bonus(self, view, pairs):
        if self.heeds and view.hidden is not None:
            return self.structure(view.graph)[pairs[0], pairs[1]]
        return view.structure[pairs[0], pairs[1]]


class Heeding(Structured):
    heeds = True


class Whole(Trained):
    """Reads the whole graph, hidden links included."""

    def bonus(self, view, pairs):
        ids = pairs if view.nodes is None else view.nodes[pairs]
        return (view.whole.find(ids) >= 0).float()


class HalfRemoved(TargetLinkRemoval):
    """Removes fewer targets than it declares."""

    def hidden_entries(self, rows):
        return super().hidden_entries(rows[::2])


@pytest.fixture
def run(runner, tmp_path):
    """run("model=ncn", …): the audits of such a run, and its output."""

    def make(*arguments: str):
        double = next((a.partition("=")[2] for a in arguments if a.startswith("double=")), None)
        if double:
            conf = tmp_path / "conf" / "model"
            conf.mkdir(parents=True, exist_ok=True)
            (conf / "double.yaml").write_text(f"_target_: {HERE}.{double}\nhidden: 8\n")
            rest = [a for a in arguments if not a.startswith("double=")]
            arguments = ("--config-dir", str(tmp_path / "conf"), "model=double", *rest)
        code, out, err = runner(*arguments, "hydra.run.dir=run")
        assert code == 0, err
        return json.loads((Path("run") / "summary.json").read_text())["audits"], out + err

    return make


HEURISTICS = {"aa", "cn", "katz", "ppr", "ra", "shortest_path"}


# A mixture takes finished runs: its audits are in test_mixture.py.
@pytest.mark.parametrize("model", sorted(set(MODELS) - {"none", "mixture"}))
def test_what_is_shipped_passes(run, model):
    found, out = run(f"model={model}", *(QUICK if model in HEURISTICS else SMALL))
    for name, audit in found.items():
        assert audit["passed"] is True, (name, audit)
    assert {"company", "knowledge"} <= set(found)
    assert "FAILED" not in out and "company passed, knowledge passed" in out


@pytest.mark.parametrize(
    "setting",
    [
        KEEP,
        (*KEEP, "model.completion.replacement=true"),
        ("model=ncnc", "encoding=sampled", "encoding.fan_outs=2"),
        ("model=ncn", "train.eval_batch_size=7", "protocol.validation_edges_in_test_graph=true"),
        ("model=ncn", "train.precision=bfloat16"),
    ],
    ids=lambda setting: setting[-1],
)
def test_evaluations_that_sample_pass_too(run, setting):
    found, _ = run(*setting, *SMALL)
    assert [audit["passed"] for audit in found.values()] == [True] * 3, found


def test_draws_of_a_generator_depend_on_the_batch(run):
    found, out = run(*KEEP, "model.completion.draw_eval=generator", *SMALL)
    assert found["company"]["passed"] is False
    assert found["knowledge"]["passed"] is True
    assert "audit of company failed: scores depend on the batch" in out


def test_a_predictor_that_leaks_in_evaluation_alone_is_caught(run):
    found, out = run("double=Normalised", *SMALL)
    assert found["company"]["passed"] is False and found["knowledge"]["passed"] is True
    assert "scores depend on the batch" in out


def test_a_structure_that_reads_hidden_links_is_caught(run):
    edges = "protocol.validation_edges_in_test_graph=true"
    found, out = run("double=Remembering", *SMALL, edges)
    assert found["knowledge"]["passed"] is False and found["company"]["passed"] is True
    assert "scores depend on links that the protocol hides" in out


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_graph_with_hidden_links_is_caught(run, monkeypatch, split):
    def leaky(data, *, validation_edges):
        graphs = list(build_graphs(data, validation_edges=validation_edges))
        links = torch.cat([data.train, getattr(data, split).positive], dim=1)
        graphs[1 if split == "valid" else 2] = Graph.from_edges(links, data.num_nodes)
        return tuple(graphs)

    for module in (parts, audited):
        monkeypatch.setattr(module, "build_graphs", leaky)
    assert run("model=ncn", *SMALL)[0]["knowledge"]["passed"] is False


@pytest.mark.parametrize("encoding", ["full", "local"])
@pytest.mark.parametrize(
    ("setting", "visible"),
    [
        (("model=ncn",), "no"),
        (("model=ncn", "sampler=plain"), "encoder, predictor"),
        (("double=Trained", "encoder.layers=0", "sampler=plain"), "predictor"),
    ],
)
def test_targets_that_stay_visible_are_told(run, setting, visible, encoding):
    found, out = run(*setting, *SMALL, f"encoding={encoding}")
    assert found["training"]["targets_visible"] == visible
    assert found["training"]["passed"] is True
    assert f"training targets visible: {visible}" in out


def test_an_objective_without_batches_of_links_has_those_of_the_graph_for_targets(run):
    found, _ = run("model=inner_product", "objective=dense_reconstruction", *SMALL)
    assert found["training"]["targets_visible"] == "encoder, predictor"
    assert found["training"]["passed"] is True


@pytest.mark.parametrize(
    ("setting", "visible", "passed"),
    [
        (("double=Structured",), "structure", True),
        (("double=Heeding",), "no", True),
        (("model=lpformer",), "no", True),
        (("model=lpformer", "model.targets_in_pagerank=true"), "predictor, structure", False),
        (("model=neo_gnn",), "no", True),
    ],
)
def test_a_structure_is_told_where_the_scores_of_a_batch_read_its_targets(
    run, setting, visible, passed
):
    found, _ = run(*setting, *SMALL)
    assert found["training"]["targets_visible"] == visible
    assert found["training"]["passed"] is passed
    assert found["company"]["passed"] and found["knowledge"]["passed"]


@pytest.mark.parametrize("encoding", ["full", "local"])
@pytest.mark.parametrize(
    ("setting", "visible"),
    [
        (("model=ncn", f"sampler._target_={HERE}.HalfRemoved"), "encoder, predictor"),
        (("double=Whole",), "predictor"),
    ],
)
def test_a_declared_removal_that_does_not_happen_fails(run, setting, visible, encoding):
    found, _ = run(*setting, *SMALL, f"encoding={encoding}")
    assert found["training"]["targets_visible"] == visible
    assert found["training"]["passed"] is False


def test_an_audit_that_breaks_fails_no_run(run, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(audited, "audit_company", broken)
    found, out = run("model=cn", *QUICK)
    assert found["company"] == {"passed": None, "problem": "RuntimeError: no such luck"}
    assert found["knowledge"]["passed"] is True
    assert "the audit of company cannot be made (RuntimeError: no such luck)" in out


def test_a_long_audit_leaves_the_others_their_time(run, monkeypatch):
    def slow(*_, limit, **__):
        while limit.left:
            time.sleep(0.01)
        return {"passed": True}

    monkeypatch.setattr(audited, "audit_company", slow)
    found, _ = run("model=ncn", *SMALL)
    assert list(found) == ["training", "company", "knowledge"]
    assert found["knowledge"]["splits"] == ["test", "valid"]


def test_asked_to_stop_a_run_says_which_audits_are_left_out(run, monkeypatch):
    def stopping(*_, **__):
        signal.raise_signal(signal.SIGUSR1)
        return {"passed": True}

    monkeypatch.setattr(audited, "audit_training", stopping)
    found, out = run("model=ncn", *SMALL)
    for name in ("company", "knowledge"):
        assert found[name] == {"passed": None, "problem": "the run was asked to stop"}
        assert f"the audit of {name} cannot be made (the run was asked to stop)" in out


@pytest.mark.parametrize("at", ["audit", "node_report"])
def test_killed_after_its_last_epoch_a_run_is_finished(runner, monkeypatch, at):
    def killed(*_, **__):
        raise Killed

    monkeypatch.setattr(experiment, at, killed)
    code, _, _ = runner("model=ncn", *SMALL, "run.node_report=true", "hydra.run.dir=cut")
    assert code == 1
    code, out, err = runner("resume=cut")
    assert code == 0 and "this run is finished" in out + err
    summary = json.loads(Path("cut/summary.json").read_text())
    assert summary["test"] and ("audits" in summary) == (at == "node_report")
    assert json.loads(Path("cut/status.json").read_text())["status"] == "done"


def test_audits_can_be_left_out_and_change_nothing_else(runner):
    summaries = {}
    for audits in ("true", "false"):
        code, _, err = runner(
            *KEEP, *SMALL, f"run.audits={audits}", f"hydra.run.dir=audits-{audits}"
        )
        assert code == 0, err
        folder = Path(f"audits-{audits}")
        summary = json.loads((folder / "summary.json").read_text())
        assert ("audits" in summary) == (audits == "true")
        meta = json.loads((folder / "meta.json").read_text())
        weights = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
        summaries[audits] = [summary["valid"], summary["test"], meta["experiment"]]
        summaries[audits] += [repr(weights["model"]), repr(weights["generators"])]
    assert summaries["true"] == summaries["false"]
