"""Runs whose encoder takes features that another run has learned to generate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.runner.experiment.test_resume import assert_same_weights, curve, kill_after
from tests.test_configs import resolved

import runner as package
from runner.config.identity import experiment_id
from runner.training.neighbour_cvae import NeighbourELBO

HERE = __name__
QUICK = (
    "dataset=synthetic", "dataset.source.num_nodes=200", "dataset.source.num_edges=600",
    "dataset.source.num_topics=4", "tracker=none", "hardware.threads=1",
)  # fmt: skip
CVAE = ("objective=neighbour_cvae", "model=none", "encoder.hidden=8")
MSE = (*CVAE, "encoder.reconstruction=mse", "train.epochs=2")
LATER = ("model=ncn", "encoder=gcn", "encoder.hidden=8", "train.epochs=2")


class FullGraph(NeighbourELBO):
    """Learns the entries of the full graph, as every release does: links of the test too."""

    def check(self, model, data):
        super().check(model, data)
        self.links = torch.cat([data.train, data.valid.positive, data.test.positive], dim=1)

    def loss(self, step):
        step.seen.__dict__["positives"] = self.links
        return super().loss(step)


@pytest.fixture
def cvae(copied) -> Path:
    return copied("cvae", *MSE, *QUICK)


def read(folder, name):
    return json.loads((folder / name).read_text())


def test_a_pretraining_learns_from_links_alone_and_passes_its_audit(cvae):
    rows = [json.loads(line) for line in (cvae / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"]
    audits = read(cvae, "summary.json")["audits"]
    assert audits["knowledge"]["passed"] and audits["knowledge"]["splits"] == ["test", "valid"]
    assert read(cvae, "summary.json")["best_epoch"] == 2  # the last one


def test_stopped_and_without_its_source_it_ends_in_the_same_bits(
    runner, tmp_path, monkeypatch, cvae
):
    arguments = (*LATER, *QUICK, f"encoder.augment={cvae}", "encoder.augment_sets=2")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    code, _, err = runner(*arguments, "hydra.run.dir=whole")
    assert code == 0, err
    assert [a["passed"] for a in read(whole, "summary.json")["audits"].values()] == [True] * 3
    with monkeypatch.context() as patch:
        kill_after(patch, 15)
        assert runner(*arguments, "hydra.run.dir=cut")[0] == 1
    shutil.rmtree(cvae)
    code, _, err = runner(f"resume={cut}")
    assert code == 0, err
    assert curve(cut) == curve(whole)
    assert_same_weights(cut, whole)
    scores = package.load(whole).score([(0, 1), (2, 5)])
    assert (scores == package.load(cut).score([(0, 1), (2, 5)])).all()
    code, _, err = runner(*arguments, "hydra.run.dir=third")
    assert code == 1 and f"encoder.augment={cvae}: no finished run" in err


def test_repeats_differ_in_seed_and_place_of_the_generator(tmp_path, cvae):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(cvae / "meta.json", other)  # as of another seed
    found = [
        experiment_id(resolved(*LATER, *QUICK[:-2], f"encoder.augment={run}"), warm_start=None)
        for run in (cvae, other, "mean_of_neighbours", "elsewhere", "null")
    ]
    plain = experiment_id(resolved(*LATER, *QUICK[:-2]), warm_start=None)
    assert found[0] == found[1] and found[4] == plain
    assert len(set(found)) == 4


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (("seed=1",), "that run has seen another dataset or another split"),
        (("dataset.source.noise=1.0",), "that run has seen another dataset"),
        (("encoding=local", "encoder.augment=mean_of_neighbours"), "take encoding=full"),
    ],
)
def test_a_generator_of_other_data_is_refused(runner, cvae, setting, message):
    code, _, err = runner(*LATER, *QUICK, f"encoder.augment={cvae}", *setting)
    assert code == 1 and message in err, err


def test_a_generator_that_has_seen_all_links_is_refused(runner, tmp_path):
    code, _, err = runner(*MSE, *QUICK, "train.all_links=true", "hydra.run.dir=all")
    assert code == 0, err
    code, _, err = runner(*LATER, *QUICK, "encoder.augment=all")
    assert code == 1 and "whose training links may be test links here" in err, err


def test_a_generator_of_the_full_graph_fails_its_audit_and_is_refused(runner, tmp_path):
    code, out, err = runner(
        *MSE, *QUICK, f"objective._target_={HERE}.FullGraph", "hydra.run.dir=leaky"
    )
    assert code == 0 and "audit of knowledge failed" in out + err, err
    assert read(tmp_path / "leaky", "summary.json")["audits"]["knowledge"]["passed"] is False
    code, _, err = runner(*LATER, *QUICK, "encoder.augment=leaky")
    assert code == 1 and "has failed its audit of knowledge" in err, err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (CVAE, "encoder.reconstruction=bce: it takes features in [0, 1]"),
        ((*CVAE, "dataset=lesmis"), "the nodes of this graph have no real ones"),
        ((*CVAE, "encoder=gcn"), "give encoder=neighbour_cvae"),
        ((*CVAE, "model=ncn"), "model: this objective learns the encoder alone"),
        ((*CVAE, "negatives=pairs"), "learns from links without negatives; give negatives=none"),
        ((*CVAE, "negatives.per_positive=2"), "negatives.per_positive: 2 has no effect"),
        ((*CVAE, "objective.share=0"), "objective.share: 0 does not fit"),
        ((*LATER, "dataset=lesmis", "encoder.augment=x"), "encoder.augment: neighbours' features"),
    ],
)
def test_what_is_wrong_is_named(runner, given, message):
    own = [key for key in QUICK if not ("dataset=lesmis" in given and key.startswith("dataset"))]
    chosen = {key.partition("=")[0]: key for key in (*own, *given)}
    code, out, err = runner(*chosen.values())
    assert code == 1 and message in err and "Traceback" not in out + err, err


def test_a_share_of_the_links_is_the_same_in_both_directions():
    links = torch.randint(1000, (2, 4000), generator=torch.manual_seed(0))
    some = NeighbourELBO(share=0.25, seed=3)
    known = some._known(links)
    assert 0.2 < known.float().mean() < 0.3
    assert torch.equal(known, some._known(links.flip(0)))
    assert not torch.equal(known, NeighbourELBO(share=0.25, seed=4)._known(links))


def test_an_unfinished_generator_is_refused(runner, cvae):
    (cvae / "summary.json").unlink()
    code, _, err = runner(*LATER, *QUICK, f"encoder.augment={cvae}")
    assert code == 1 and "summary.json missing" in err, err
