"""Runs whose messages are re-weighted by their own scores."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest
import torch
from tests.runner.experiment.test_resume import assert_same_weights, curve, kill_after, scores
from tests.test_configs import resolved

import runner as public
from runner.audits.chance import same_chance
from runner.audits.topology import weighted_concentration
from runner.config.schema import RunConfig
from runner.errors import RunnerError
from runner.experiment.parts import assemble
from runner.prediction.trained import open_trained
from runner.training.encoding import FullEncoding
from runner.training.ranks import ALONE

SETTING = (
    "model=hadamard_mlp", "dataset=lesmis", "tracker=none", "hardware.threads=1", "encoder=gcn",
    "encoder.hidden=8", "encoder.edge_dropout=0.1", "train.batch_size=32", "train.epochs=5",
    "train.reweight=topology", "train.reweight.interval=2", "train.reweight.alpha=2.0",
)  # fmt: skip


@pytest.fixture
def whole(made_once):
    return made_once(*SETTING)


def own_weights(content):
    return content["reweighting.entries"], content["reweighting.loops"]


def test_stopped_and_resumed_to_the_same_bits(runner, whole, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        kill_after(patch, 14)  # in the third epoch, after the first refresh
        assert runner(*SETTING, "hydra.run.dir=cut", "train.checkpoint_steps=3")[0] == 1
    torch.manual_seed(99)
    code, _, err = runner(f"resume={tmp_path / 'cut'}")
    assert code == 0, err
    assert curve(tmp_path / "cut") == curve(whole) and scores(tmp_path / "cut") == scores(whole)
    assert_same_weights(tmp_path / "cut", whole)


def test_weights_are_refreshed_between_epochs_and_read_by_a_finished_run(whole, tmp_path):
    """The refresh after epoch 4 is in no checkpoint of it: that epoch was evaluated without."""
    trained = open_trained(whole, device="cpu")
    weights = trained.model.reweighting.weights(trained.graphs[0])
    start = trained.model.reweighting.own_weights(trained.model.encoder, trained.graphs[0])
    assert torch.equal(weights.entries, start.entries) is (trained.epoch <= 2)
    summary = json.loads((whole / "summary.json").read_text())
    found = public.load(str(whole)).evaluate()
    for name, value in found["test"].items():
        assert value == pytest.approx(summary["test"][name], abs=1e-6)
    audits = summary["audits"]
    assert all(audits[name]["passed"] for name in ("company", "knowledge", "training"))


def test_the_report_of_nodes_has_their_weighted_concentration(copied):
    folder = copied("run", *SETTING)
    public.load(str(folder)).report_nodes()
    nodes = pandas.read_csv(folder / "nodes.csv")
    trained = open_trained(folder, device="cpu")
    weights = trained.model.message_weights(trained.graphs[0])
    expected = weighted_concentration(trained.graphs[0], weights.entries)
    linked = (trained.graphs[0].degree() > 0).numpy()
    np.testing.assert_allclose(nodes.tc_train_weighted[linked], expected[linked], atol=1e-5)
    assert nodes.tc_train_weighted[~linked].isna().all()


def test_a_batch_is_encoded_with_the_weights_of_what_it_sees(whole):
    trained = open_trained(whole, device="cpu")
    parts = assemble(trained.config, whole, ALONE)
    training = parts.training
    batch = next(training.sampler.epoch())
    assert isinstance(training.encoding, FullEncoding) and batch.hidden is not None
    weights = training.model.reweighting.weights(batch.whole)
    weights.entries.copy_(torch.arange(len(weights.entries)))
    seen = training.encoding.view(training.task.train_inputs, batch)
    at = batch.whole.find(torch.stack((seen.layers.row, seen.layers.col.long())))
    assert torch.equal(seen.weight.entries, at.float())
    with same_chance(training.model):
        assert training.model.encode(seen.features, seen.layers, seen.weight).isfinite().all()


def test_a_test_graph_with_other_links_is_refused_before_anything_is_trained(tmp_path):
    config = resolved(*SETTING, "protocol.validation_edges_in_test_graph=true")
    with pytest.raises(RunnerError, match=r"protocol\.validation_edges_in_test_graph=false"):
        assemble(RunConfig.read(config), tmp_path, ALONE)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (["encoding=local"], "encoding=local: train.reweight weighs the messages of the whole"),
        (["encoder=gin"], "train.reweight: this encoder does not take the weights"),
        (["model=ncn"], "train.reweight: a message has the weight of its ends' score"),
        (["train.reweight.orientation=left"], "train.reweight.orientation: 'left' does not fit"),
        (["train.reweight.warm_up=0"], "train.reweight.warm_up: 0 does not fit"),
    ],
)
def test_refusals(runner, others, message):
    code, _, err = runner(*SETTING, *others, "hydra.run.dir=run")
    assert code == 1 and message in err and "Traceback" not in err
