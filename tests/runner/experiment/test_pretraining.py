"""Pretraining runs, and the runs that begin with their encoders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.runner.experiment.test_resume import assert_same_weights, curve, kill_after

from runner.comparison.collect import collect
from runner.comparison.groups import group as group_runs
from runner.experiment import parts

QUICK = ("dataset=lesmis", "tracker=none", "hardware.threads=1", "encoder.hidden=8")
PRE = (*QUICK, "model=none", "train.epochs=6")
CSGCL = (*PRE, "objective=csgcl")
LATER = (*QUICK, "model=ncn", "train.epochs=2", "train.init_mode=encoder")


def checkpoint(folder: Path, name: str = "last") -> dict:
    return torch.load(folder / "checkpoints" / f"{name}.pt", weights_only=True)


def encoder(folder: Path) -> dict:
    found = checkpoint(folder)["model"]
    return {name: x for name, x in found.items() if name.startswith("encoder.")}


def read(folder: Path, file: str) -> dict:
    return json.loads((folder / file).read_text())


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(x, other[name]) for name, x in one.items()
    )


@pytest.fixture
def pretrained(made_once) -> Path:
    return made_once(*CSGCL)


def test_a_pretraining_learns_the_encoder_and_records_its_communities(pretrained):
    summary = read(pretrained, "summary.json")
    assert summary["communities"] > 1 and summary["modularity"] > 0.4 and not summary["test"]
    own = checkpoint(pretrained)["objective"]
    assert own["prepared"]["community"].shape == (77,) and own["learned"]["0.weight"].any()
    rows = [json.loads(row) for row in (pretrained / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"] and rows[0]["lr/objective"] == 0.001


@pytest.mark.parametrize("objective", ["csgcl", "gcool"])
def test_killed_and_resumed_it_ends_in_the_same_bits(
    runner, tmp_path, monkeypatch, made_once, objective
):
    """With the communities of the start, though another version might find others by then."""
    setting = (*PRE, f"objective={objective}")
    whole = made_once(*setting)
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        assert runner(*setting, "hydra.run.dir=cut")[0] == 1
    with monkeypatch.context() as patch:
        patch.setattr("runner.training.csgcl.louvain", lambda graph, _: torch.arange(77))
        code, _, err = runner("resume=cut")
    assert code == 0, err
    cut = tmp_path / "cut"
    assert curve(cut) == curve(whole)
    assert_same_weights(cut, whole)
    for part in ("learned", "prepared"):
        one, other = (checkpoint(run)["objective"][part] for run in (cut, whole))
        assert same(one, other)


def test_an_encoder_is_tuned_further_or_frozen(runner, tmp_path, pretrained):
    for name, rate in (("tuned", "0.01"), ("frozen", "0")):
        code, out, err = runner(
            *LATER, f"train.init_from={pretrained}", f"train.lr_encoder={rate}",
            f"hydra.run.dir={name}",
        )  # fmt: skip
        assert code == 0, err
        frozen = "without effect: encoder.hidden_dropout" in out + err
        assert frozen == (name == "frozen") == same(encoder(tmp_path / name), encoder(pretrained))
        audits = read(tmp_path / name, "summary.json")["audits"]
        assert [audit["passed"] for audit in audits.values()] == [True] * 3


def test_a_frozen_encoder_has_no_dropout_and_stays_so_after_a_resume(
    runner, tmp_path, monkeypatch, pretrained
):
    setting = (*LATER, f"train.init_from={pretrained}", "train.lr_encoder=0")
    modes = []
    original = parts.LinkModel.encode

    def encode(model, *given):
        modes.append((model.training, model.encoder.training))
        return original(model, *given)

    monkeypatch.setattr(parts.LinkModel, "encode", encode)
    assert runner(*setting, "hydra.run.dir=whole")[0] == 0
    with monkeypatch.context() as patch:
        kill_after(patch, 9)
        assert runner(*setting, "hydra.run.dir=cut")[0] == 1
    assert runner("resume=cut")[0] == 0
    assert (True, False) in modes and not any(of_encoder for _, of_encoder in modes)
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")


def test_runs_that_begin_with_different_pretrainings_are_no_repeats(
    runner, tmp_path, made_once, pretrained
):
    other = made_once(*PRE, "objective=gcool")
    third = made_once(*CSGCL, "seeds.initialisation=1")
    found = []
    for number, start in enumerate((pretrained, other, third)):
        where = (f"train.init_from={start}", f"hydra.run.dir=run{number}")
        assert runner(*LATER, "train.epochs=0", *where)[0] == 0
        found.append(read(tmp_path / f"run{number}", "meta.json")["experiment"])
    assert found[0] == found[2] != found[1]
    labels = {group.label for group in group_runs(collect([tmp_path]))}
    assert labels == {"ncn start=CSGCL", "ncn start=GCooL"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("seeds.split=1",), "which decides the split (seeds.split)"),
        (("encoder.activation=false",), "encoder is another one (encoder.activation)"),
        (("model=mplp", "model.features=false"), "and a model that reads embeddings"),
        (("train.init_mode=weights",), "train.init_mode=encoder takes the encoder's alone"),
        (("model=inner_product", "train.lr_encoder=0"), "this predictor has no weights"),
    ],
)
def test_what_cannot_begin_so_is_refused(runner, pretrained, arguments, message):
    code, _, err = runner(*LATER, f"train.init_from={pretrained}", *arguments)
    assert code == 1 and message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("model=ncn",), "give model=none"),
        (("objective.most_nodes=50",), "objective.most_nodes=50"),
        (("objective.edge_dropout=[0.1]",), "objective.edge_dropout: [0.1] does not fit"),
        (("train.batch_size=8",), "train.batch_size: 8 has no effect"),
    ],
)
def test_what_cannot_be_pretrained_so_is_refused(runner, arguments, message):
    code, _, err = runner(*CSGCL, *arguments)
    assert code == 1 and message in err


def test_communities_that_are_not_of_the_training_graph_fail_the_audit_of_what_follows(
    runner, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr("runner.training.csgcl.louvain", lambda graph, _: torch.arange(77) % 3)
        assert runner(*CSGCL, "hydra.run.dir=leaky")[0] == 0
    code, out, err = runner(*LATER, "train.init_from=leaky", "hydra.run.dir=later")
    assert code == 0, err
    knowledge = read(tmp_path / "later", "summary.json")["audits"]["knowledge"]
    assert knowledge["passed"] is False and knowledge["prepared_alike"] is False
    assert "knowledge FAILED" in out + err
