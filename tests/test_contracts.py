"""What the contracts carry, each shown by a double, and each resumed to the same bits."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from runner.comparison.collect import collect
from runner.models.predictor import Predictor
from runner.training import loop
from runner.training.objective import LinkPrediction, Objective
from runner.training.task import Inputs

QUICK = ("dataset=lesmis", "tracker=none", "hardware.threads=1", "encoder.hidden=8")
HERE = __name__
MATRIX = ("model=inner_product", "objective=dense_reconstruction")


class Terms(Predictor):
    """Further terms of the loss, and pairs that are normalised together."""

    reach = 0
    normalises_pairs = True

    def __init__(self, *, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(self, h, view, pairs):
        return self.score(self.norm(h[pairs[0]] * h[pairs[1]])).squeeze(-1)

    def loss_terms(self):
        return {"size": self.score.weight.square().sum()}


class Refreshed(LinkPrediction):
    """Edge weights that are drawn anew each epoch, for each graph."""

    def inputs(self, epoch: int, inputs: Inputs) -> Inputs:
        generator = torch.Generator().manual_seed(epoch)
        weight = torch.rand(inputs.graph.num_entries, generator=generator)
        return Inputs(inputs.features, inputs.graph, inputs.structure, weight)


class Reconstruction(Objective):
    """A pretraining: linked nodes are to have similar embeddings."""

    scores_pairs = False

    def loss(self, step):
        h, pairs = step.embeddings, step.seen.positives
        return (1 - torch.cosine_similarity(h[pairs[0]], h[pairs[1]])).mean() / step.ranks.size


def rows(folder: Path) -> list[dict]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if "second" not in k and "gib" not in k} for row in found]


def whole_and_resumed(runner, monkeypatch, tmp_path, *setting, at=14):
    """The rows of a run, and of the same run stopped after so many steps and resumed."""
    code, _, err = runner(*QUICK, *setting, "hydra.run.dir=whole")
    assert code == 0, err
    original, steps = loop.train_step, iter(range(10**6))

    def stopped(*arguments):
        if next(steps) == at:
            signal.raise_signal(signal.SIGTERM)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", stopped)
        code, _, err = runner(*QUICK, *setting, "hydra.run.dir=cut")
    assert code == 130, err
    monkeypatch.setenv("RUNNER_TRUST", HERE.partition(".")[0])
    code, _, err = runner("resume=cut")
    assert code == 0, err
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    return rows(tmp_path / "whole")


@pytest.mark.parametrize(
    "setting",
    [
        ("+train.optimizer.amsgrad=true", "train.weight_decay=0.1", "negatives=pairs",
         "negatives.per_positive=3"),
        ("train.optimizer._target_=torch.optim.AdamW", "train.evaluate_every=2"),
        ("train.schedule={_target_: torch.optim.lr_scheduler.ExponentialLR, gamma: 0.5}",),
        ("sampler.drop_last=false", "train.batch_size=50"),
        (f"objective._target_={HERE}.Refreshed", "encoder.edge_dropout=0.2"),
        (f"model={{_target_: {HERE}.Terms, hidden: 8}}",),
    ],
    ids=lambda setting: setting[0][:32],
)  # fmt: skip
def test_what_is_stopped_and_resumed_ends_in_the_same_bits(runner, monkeypatch, tmp_path, setting):
    at = 5 if "train.batch_size=50" in setting else 14
    if setting[0].startswith("model="):
        setting = (f"+model._target_={HERE}.Terms", "+model.hidden=8")
        monkeypatch.chdir(tmp_path)
        conf = tmp_path / "conf" / "model"
        conf.mkdir(parents=True)
        (conf / "terms.yaml").write_text(f"_target_: {HERE}.Terms\nhidden: 8\n")
        setting = ("--config-dir", str(tmp_path / "conf"), "model=terms")
    elif setting[0].startswith("train.schedule="):
        conf = tmp_path / "conf" / "experiment"
        conf.mkdir(parents=True)
        (conf / "decay.yaml").write_text(
            "# @package _global_\ntrain:\n  schedule:\n"
            "    _target_: torch.optim.lr_scheduler.ExponentialLR\n    gamma: 0.5\n"
        )
        setting = ("--config-dir", str(tmp_path / "conf"), "experiment=decay")
    default = () if setting[0] == "--config-dir" and "model=terms" in setting else ("model=ncn",)
    found = whole_and_resumed(
        runner, monkeypatch, tmp_path, *default, *setting, "train.epochs=3", at=at
    )
    if "experiment=decay" in setting:
        assert [row["lr/encoder"] for row in found] == [0.005, 0.0025, 0.00125]
    if "train.evaluate_every=2" in setting:
        assert ["valid/mrr" in row for row in found] == [False, True, True]


def test_a_running_mean_of_batches_is_resumed_too(runner, monkeypatch, tmp_path):
    setting = ("model=ocn", "model.normaliser=batch", "train.batch_size=16", "train.epochs=2")
    whole_and_resumed(runner, monkeypatch, tmp_path, *setting, at=15)


def test_patience_ends_a_run_and_a_resume_leaves_it_ended(runner, tmp_path):
    setting = ("model=ncn", "train.epochs=200", "train.patience=2")
    code, _, err = runner(*QUICK, *setting, "hydra.run.dir=run")
    assert code == 0, err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["epochs"] == summary["best_epoch"] + 2 < 200
    code, out, err = runner("resume=run")
    assert code == 0 and "finished" in out, err
    assert len(rows(tmp_path / "run")) == summary["epochs"]


def test_a_pretraining_needs_no_predictor_and_is_begun_from(runner, monkeypatch, tmp_path):
    setting = (f"objective._target_={HERE}.Reconstruction", "model=none", "evaluator=none")
    found = whole_and_resumed(runner, monkeypatch, tmp_path, *setting, "train.epochs=3")
    assert found[-1]["loss"] < found[0]["loss"] and "valid/mrr" not in found[-1]
    later = ("model=gae", "train.epochs=1", "train.init_mode=embeddings")
    code, _, err = runner(*QUICK, *later, "train.init_from=whole", "hydra.run.dir=later")
    assert code == 0, err


def test_a_reconstruction_of_the_whole_graph_is_one_step_an_epoch(runner, monkeypatch, tmp_path):
    found = whole_and_resumed(
        runner, monkeypatch, tmp_path, *MATRIX, "encoder=plain_gcn", "encoder.hidden_dropout=0.5",
        "encoder.layers=2", "train.epochs=6", at=3,
    )  # fmt: skip
    assert [row["epoch"] for row in found] == [1, 2, 3, 4, 5, 6]
    assert found[-1]["loss"] < found[0]["loss"]


def test_pairs_that_are_normalised_together_are_told_so(runner, tmp_path):
    conf = tmp_path / "conf" / "model"
    conf.mkdir(parents=True)
    (conf / "terms.yaml").write_text(f"_target_: {HERE}.Terms\nhidden: 8\n")
    code, out, err = runner(
        "--config-dir", str(tmp_path / "conf"), *QUICK, "model=terms", "train.epochs=1"
    )
    assert code == 0 and "normalises the pairs that are scored together" in out, err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("model=none",), "model=none: this objective and evaluator score pairs"),
        (("train.optimizer._target_=torch.nn.Linear",), "train.optimizer"),
        (("+train.optimizer.nope=1",), "train.optimizer.nope: there is no such key"),
        (("train.patience=0",), "train.patience: 0 does not fit"),
        (("negatives.per_positive=0",), "negatives.per_positive: 0 does not fit"),
        (("protocol=official",), "this dataset has no split"),
        (("sampler=none",), "this objective learns from links; give sampler="),
        (("negatives=none",), "this objective learns from links; give negatives="),
        ((*MATRIX, "sampler=plain"), "FullGraph has no effect"),
        ((*MATRIX, "negatives=pairs"), "UniformPairs has no effect"),
        ((*MATRIX, "train.batch_size=8"), "train.batch_size: 8 has no effect"),
        ((*MATRIX, "negatives.per_positive=2"), "negatives.per_positive: 2 has no effect"),
        ((*MATRIX, "negatives.redraw=false"), "negatives.redraw: False has no effect"),
        (("protocol=buddy",), "protocol.largest_component: true has no effect"),
        ((*MATRIX, "encoding=local"), "give encoding=full"),
        ((*MATRIX, "model=ncn"), "give model=inner_product"),
        ((*MATRIX, "encoder=none"), "encoder=none: this predictor scores the product"),
        ((*MATRIX, "objective.most_nodes=10"), "objective.most_nodes=10"),
    ],
)
def test_what_is_wrong_is_named(runner, given, message):
    quick = [key for key in QUICK if "encoder=none" not in given or "encoder." not in key]
    default = () if given[0].startswith("model=") else ("model=ncn",)
    code, out, err = runner(*quick, *default, *given)
    assert code == 1 and message in err and "Traceback" not in out + err, err


def test_runs_without_evaluation_sweep_and_are_no_failures(runner, tmp_path):
    setting = ("model=gae", "evaluator=none", "train.epochs=1", "seed=0,1")
    code, out, err = runner("-m", *QUICK, *setting, "hydra.sweep.dir=sweep")
    assert code == 0 and "2 done" in out and "nan" not in out, out + err
    runs = collect([tmp_path / "sweep"])
    assert [(run.status, run.result) for run in runs] == [("done", None)] * 2
    assert all("not evaluated" in str(run.problem) for run in runs)
