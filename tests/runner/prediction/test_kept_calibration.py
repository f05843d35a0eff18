"""Probabilities of a run, and the calibration.json beside it."""

from __future__ import annotations

import json
import logging
import sys

import numpy as np
import pytest
import torch

import runner as public
from runner.errors import RunnerError
from runner.prediction import kept_calibration
from runner.training.named_metrics import parse_metric

QUICK = ("dataset=lesmis", "tracker=none", "train.epochs=3", "encoder.hidden=16")
PAIRS = [("Cosette", "Javert"), ("Valjean", "Napoleon")]


@pytest.fixture
def folder(copied):
    return copied("run", "model=ncnc", *QUICK)


@pytest.fixture
def no_fit(monkeypatch):
    """A fit fails from now on."""

    def refuse():
        monkeypatch.setattr(kept_calibration, "fit", None)
        monkeypatch.setitem(sys.modules, "sklearn", None)

    return refuse


def test_probabilities_are_of_the_validation_graph_and_at_the_graphs_density(folder):
    run = public.load(folder)
    data = run._trained.data
    assert run.density == pytest.approx(254 / (77 * 76 / 2))
    assert run.calibration.valid == {"links": 25, "negatives": 50}
    scores, found = run.score(PAIRS), run.score(PAIRS, probability=True)
    slope, intercept = (run.calibration.parameters[k] for k in ("slope", "intercept"))
    odds = np.exp(slope * scores + intercept) * run.density / (1 - run.density)
    assert found == pytest.approx(odds / (1 + odds))
    assert (run.score(PAIRS, probability=True, prior=0.5) > found).all()
    # The order of test links is that of their scores.
    positive, negative = (
        torch.from_numpy(
            run.score(run.nodes.of(pairs.T.flatten()).reshape(-1, 2), probability=True)
        )
        for pairs in (data.test.positive, data.test.negative)
    )
    for name, value in run.metrics["test"].items():
        assert parse_metric(name)(positive, negative) == pytest.approx(value)


def test_top_has_probabilities(folder):
    run = public.load(folder)
    frame = public.load(run.folder, prior=0.3).top("Valjean", 5)
    pairs = frame[["source", "target"]]
    assert frame["probability"].to_numpy() == pytest.approx(
        run.score(pairs, probability=True, prior=0.3)
    )
    assert list(frame) == ["source", "target", "score", "probability"]


def test_it_is_fitted_once_for_the_weights(folder, no_fit, caplog):
    first = public.load(folder)
    wanted = first.score(PAIRS, probability=True)
    no_fit()
    assert np.array_equal(public.load(folder).score(PAIRS, probability=True), wanted)
    (folder / "calibration.json").write_text("{}")
    with caplog.at_level(logging.WARNING), pytest.raises(TypeError):
        _ = public.load(folder).calibration
    assert "calibration.json cannot be read" in caplog.text


def test_a_resume_that_finds_a_better_epoch_fits_anew(folder, runner):
    before = public.load(folder).calibrate("isotonic")
    assert json.loads((folder / "calibration.json").read_text())["method"] == "isotonic"
    code, _, err = runner(f"resume={folder}", "train.epochs=40")
    assert code == 0, err
    after = public.load(folder)
    assert after._trained.epoch > 3
    assert after.calibration.weights != before.weights
    assert after.calibration.parameters != before.parameters
    assert after.calibration.method == "isotonic"  # what was asked for stays
    assert after.calibrate("logistic").method == "logistic"
    assert public.load(folder).calibration.method == "logistic"


def test_a_folder_that_cannot_be_written(folder, monkeypatch):
    run = public.load(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(run._trained.folder), "write_json", full)
    assert run.score(PAIRS, probability=True).shape == (2,)
    assert not (folder / "calibration.json").exists()


def test_heuristics_have_probabilities(made_once):
    run = public.load(made_once("model=cn", "dataset=lesmis", "tracker=none"))
    assert run.calibration.test["before"]["brier"] is None
    assert run.calibration.test["after"]["brier"] < 0.25


def test_further_links_change_scores_and_no_probability_of_a_score(folder):
    run = public.load(folder, prior=0.2)
    test = run._trained.data.test.positive
    grown = run.with_links(run.nodes.of(test.T.flatten()).reshape(-1, 2))
    assert grown.calibration is run.calibration and grown.evaluate() == run.metrics
    scores = grown.score(PAIRS)
    assert not np.array_equal(scores, run.score(PAIRS))
    wanted = run.calibration.probability(scores, 0.2)
    assert np.array_equal(grown.score(PAIRS, probability=True), wanted)


def test_a_prior_goes_with_probabilities(folder):
    with pytest.raises(RunnerError, match=r"prior=0.1: .*probability=True"):
        public.load(folder).score(PAIRS, prior=0.1)
    with pytest.raises(RunnerError, match=r"prior=2: .*share of links"):
        public.load(folder, prior=2)
