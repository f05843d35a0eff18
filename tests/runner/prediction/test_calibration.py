from __future__ import annotations

import logging

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from runner.errors import RunnerError
from runner.prediction.calibration import Scored, fit
from runner.prediction.calibration_quality import expected_calibration_error, weights


def drawn(links: int, negatives: int, seed: int = 0, order: float = 1.0) -> Scored:
    """Scores of two Gaussians, of which the true log odds, balanced, are 1.5 s - 1.125."""
    draw = np.random.default_rng(seed)
    return Scored(
        order * draw.normal(1.5, 1.0, links),
        order * draw.normal(0.0, 1.0, negatives),
    )


def fitted(method="logistic", valid=None, test=None, logits=True):
    valid, test = valid or drawn(4000, 9000), test or drawn(3000, 500, seed=1)
    return fit(method, valid, test, logits=logits, weights="w")


SCORES = np.linspace(-4, 6, 31)


def test_logistic_is_scikit_learns_balanced_by_weights():
    valid = drawn(4000, 9000)
    model = LogisticRegression(C=np.inf, class_weight="balanced", tol=1e-8)
    model.fit(valid.scores[:, None], valid.is_link)
    wanted = model.predict_proba(SCORES[:, None])[:, 1]
    # Platt's targets draw each probability a little to the middle.
    assert np.abs(fitted(valid=valid).probability(SCORES, 0.5) - wanted).max() < 1e-3
    found = fitted(valid=valid).parameters
    assert (found["slope"], found["intercept"]) == pytest.approx((1.5, -1.125), abs=0.05)


def test_isotonic_is_scikit_learns():
    valid = drawn(300, 700)
    model = IsotonicRegression(y_min=1 / 702, y_max=301 / 302, out_of_bounds="clip")
    model.fit(valid.scores, valid.is_link, sample_weight=weights(valid.is_link, 0.5))
    found = fitted("isotonic", valid).probability(SCORES, 0.5)
    assert found == pytest.approx(model.predict(SCORES), abs=1e-12)


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
@pytest.mark.parametrize("prior", [0.02, 0.5, 0.9])
def test_probabilities_hold_in_a_population_of_that_prior(method, prior):
    """Of the pairs that are given about this probability, this share are links."""
    calibration = fitted(method, drawn(40_000, 20_000))
    links = int(200_000 * prior)
    population = drawn(links, 200_000 - links, seed=2)
    found = calibration.probability(population.scores, prior)
    assert found.mean() == pytest.approx(prior, rel=0.05)
    uniform = np.full(len(found), 1 / len(found))
    assert expected_calibration_error(found, population.is_link, uniform) < 0.01
    if prior != 0.5:  # where the shift is left out, it is far away
        unshifted = calibration.probability(population.scores, 0.5)
        assert expected_calibration_error(unshifted, population.is_link, uniform) > 0.1


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_probabilities_rise_with_the_score_and_are_never_certain(method):
    apart = Scored(np.array([2.0, 3.0, 4.0]), np.array([-3.0, -2.0]))
    for valid in (apart, drawn(50, 50), drawn(50, 50, order=1e-9), drawn(50, 50, order=1e6)):
        span = 3 * np.abs(valid.scores).max()
        found = fitted(method, valid, valid).probability(np.linspace(-span, span, 99), 0.5)
        assert (np.diff(found) >= 0).all() and found[-1] > found[0]
    found = fitted(method, apart, apart).probability(apart.scores, 0.5)
    assert found.min() > 0 and found.max() < 1


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_a_validation_that_prefers_negatives_is_told_and_not_turned_round(method, caplog):
    apart = Scored(np.array([0.0, 0.5]), np.array([1.0, 2.0, 3.0]))
    with caplog.at_level(logging.WARNING):
        calibration = fitted(method, apart, apart)
    assert "links no higher than its negatives" in caplog.text
    assert calibration.probability(SCORES, 0.25) == pytest.approx(0.25)


def test_scores_that_are_all_the_same(caplog):
    same = Scored(np.ones(4), np.ones(3))
    assert fitted(valid=same, test=same).probability(np.ones(2), 0.1) == pytest.approx(0.1)
    assert "every probability is the prior" in caplog.text


def test_measures_are_scikit_learns_as_if_both_were_equally_frequent():
    test = drawn(200, 900, seed=3)
    calibration = fitted(test=test)
    weight = np.where(test.is_link, 1 / 200, 1 / 900)
    sigmoid = 1 / (1 + np.exp(-test.scores))
    for found, p in (
        (calibration.test["before"], sigmoid),
        (calibration.test["after"], calibration.probability(test.scores, 0.5)),
    ):
        assert found["auc"] == pytest.approx(roc_auc_score(test.is_link, p))
        wanted = average_precision_score(test.is_link, p, sample_weight=weight)
        assert found["ap"] == pytest.approx(wanted)
        assert found["brier"] == pytest.approx(
            brier_score_loss(test.is_link, p, sample_weight=weight)
        )
    assert calibration.test["after"]["ece"] < 0.05 < calibration.test["before"]["ece"]
    assert {k: calibration.test[k] for k in ("links", "negatives", "base_rate")} == {
        "links": 200, "negatives": 900, "base_rate": 0.5
    }  # fmt: skip


def test_calibration_error_is_a_slow_count():
    draw = np.random.default_rng(4)
    probability = np.concatenate([draw.random(500), [0.0, 1.0, 1 / 15]])
    is_link = draw.random(503) < probability
    weight = weights(is_link, 0.3)
    assert weight[is_link].sum() == pytest.approx(0.3) and weight.sum() == pytest.approx(1)
    error = 0.0
    for low in range(15):
        inside = [
            i
            for i, p in enumerate(probability)
            if low / 15 <= p < (low + 1) / 15 or (p == 1 and low == 14)
        ]
        mass = sum(weight[i] for i in inside)
        if mass:
            confidence = sum(weight[i] * probability[i] for i in inside) / mass
            share = sum(weight[i] for i in inside if is_link[i]) / mass
            error += mass * abs(confidence - share)
    assert expected_calibration_error(probability, is_link, weight) == pytest.approx(error)


def test_scores_of_heuristics_are_no_probabilities_before():
    test = drawn(30, 40)
    before = fitted(test=test, logits=False).test["before"]
    assert before["brier"] is None and before["ece"] is None
    assert before["auc"] == pytest.approx(roc_auc_score(test.is_link, test.scores))


@pytest.mark.parametrize("prior", [0, 1, -0.1, 1.5, float("nan"), True, "0.5"])
def test_priors_that_are_no_shares_are_refused(prior):
    with pytest.raises(RunnerError, match=r"prior=.*share of links"):
        fitted().probability(SCORES, prior)


def test_other_mistakes():
    with pytest.raises(RunnerError, match="calibration=beta: there is logistic and isotonic"):
        fitted("beta")
    with pytest.raises(RunnerError, match="not finite"):
        fitted(valid=Scored(np.array([np.nan, 1.0]), np.zeros(3)))


@pytest.mark.parametrize(("links", "negatives"), [(0, 3), (3, 0)])
def test_parts_without_links_or_negatives_are_refused(links, negatives):
    some, none = Scored(np.arange(3.0), np.arange(3.0)), Scored(np.ones(links), np.ones(negatives))
    for valid, test in ((none, some), (some, none)):
        with pytest.raises(RunnerError, match=f"{links} links and {negatives} negatives"):
            fit("logistic", valid, test, logits=True, weights="")
