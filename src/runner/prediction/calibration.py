"""Probabilities of links from scores: logistic or isotonic calibration."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
import torch

from runner.errors import RunnerError
from runner.prediction.calibration_quality import quality, weights

log = logging.getLogger(__name__)

Method = Literal["logistic", "isotonic"]
BALANCED = 0.5  # base rate of the fit, and of the measures on the test


@dataclass(frozen=True)
class Calibration:
    """A monotone function from scores to probabilities, fitted at a base rate of a half.

    Attributes:
        parameters: of "logistic" `slope` and `intercept` of the log odds; of "isotonic" `scores`,
            ascending, and `probabilities` there, with straight lines between them.
        valid: numbers of `links` and `negatives` of the fit.
        test: the same, the `base_rate` of its measures, and `auc`, `ap`, `brier` and `ece` `before`
            (of the sigmoid of the logits; of scores that are no logits the ranking alone) and
            `after`.
        weights: SHA-256 of the checkpoint whose scores it is for.
        taken_from: the run that a refit has it from: `folder`, `run_id`, `best_epoch`; else None.
    """

    method: Method
    parameters: Mapping[str, Any]
    valid: Mapping[str, int]
    test: Mapping[str, Any]
    weights: str
    taken_from: Mapping[str, Any] | None = None

    def probability(self, scores: np.ndarray, prior: float) -> np.ndarray:
        """The probability of each score, (P,) float64, where a share `prior` of pairs are links.

        Raises:
            RunnerError: if the prior is no share between 0 and 1.
        """
        require_share(prior)
        shift = np.log(prior) - np.log1p(-prior)
        return torch.from_numpy(self._log_odds(scores) + shift).sigmoid().numpy()

    def _log_odds(self, scores: np.ndarray) -> np.ndarray:
        found = self.parameters
        if self.method == "logistic":
            return found["slope"] * scores + found["intercept"]
        balanced = np.interp(scores, found["scores"], found["probabilities"])
        return torch.from_numpy(balanced).logit().numpy()


def require_share(prior: float) -> None:
    """Refuse a prior that is no share between 0 and 1.

    Raises:
        RunnerError: saying what it is.
    """
    if not isinstance(prior, Real) or not 0 < float(prior) < 1:
        raise RunnerError(
            f"prior={prior}: it is the share of links among pairs, above 0 and below 1"
        )


@dataclass(frozen=True)
class Scored:
    """Scores of the links of a part, (P,) float64, and of its negatives, (K,) float64."""

    links: np.ndarray
    negatives: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        return np.concatenate([self.links, self.negatives])

    @property
    def is_link(self) -> np.ndarray:
        return np.arange(len(self.links) + len(self.negatives)) < len(self.links)

    @property
    def sizes(self) -> dict[str, int]:
        return {"links": len(self.links), "negatives": len(self.negatives)}


def fit(method: Method, valid: Scored, test: Scored, *, logits: bool, weights: str) -> Calibration:
    """Calibrate on validation, as if links and negatives were equally frequent; measure on test.

    Args:
        logits: whether scores are logits, so that their sigmoid is a probability before.

    Raises:
        RunnerError: if there is no such method, or the scores are not finite, or there are none.
    """
    if method not in get_args(Method):
        raise RunnerError(f"calibration={method}: there is {' and '.join(get_args(Method))}")
    for name, part in (("validation", valid), ("test", test)):
        if not all(part.sizes.values()):
            raise RunnerError(
                f"calibration: {name} has {part.sizes['links']} links and "
                f"{part.sizes['negatives']} negatives; it takes some of both"
            )
    if not (np.isfinite(valid.scores).all() and np.isfinite(test.scores).all()):
        raise RunnerError("calibration: some scores of validation or test links are not finite")
    parameters = (_logistic if method == "logistic" else _isotonic)(valid)
    fitted = Calibration(method, parameters, valid.sizes, {}, weights)
    before = torch.from_numpy(test.scores).sigmoid().numpy() if logits else test.scores
    after = fitted.probability(test.scores, BALANCED)
    measured = {
        **test.sizes,
        "base_rate": BALANCED,
        "before": quality(before, test.is_link, base_rate=BALANCED, probabilities=logits),
        "after": quality(after, test.is_link, base_rate=BALANCED),
    }
    return Calibration(method, parameters, valid.sizes, measured, weights)


def _logistic(valid: Scored) -> dict[str, float]:
    """Slope and intercept of Platt 1999, whose targets keep them finite for any scores."""
    from sklearn.linear_model import LogisticRegression  # slow to import

    scores, is_link = valid.scores, valid.is_link
    low, high = _limits(valid)
    if scores.min() == scores.max():
        return _no_order()
    mean, deviation = scores.mean(), scores.std()
    scaled = ((scores - mean) / deviation)[:, None]
    target, weight = np.where(is_link, high, low), weights(is_link, BALANCED) * len(scores)
    # A row counts as a link with its target, and as none with the rest.
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
    model.fit(
        np.concatenate([scaled, scaled]),
        np.arange(2 * len(scores)) < len(scores),
        sample_weight=np.concatenate([weight * target, weight * (1 - target)]),
    )
    slope = float(model.coef_[0, 0] / deviation)
    if slope <= 0:
        return _no_order()
    return {"slope": slope, "intercept": float(model.intercept_[0] - slope * mean)}


def _isotonic(valid: Scored) -> dict[str, list[float]]:
    from sklearn.isotonic import IsotonicRegression  # slow to import

    low, high = _limits(valid)
    model = IsotonicRegression(y_min=low, y_max=high, increasing=True, out_of_bounds="clip")
    model.fit(valid.scores, valid.is_link, sample_weight=weights(valid.is_link, BALANCED))
    if model.y_thresholds_[0] == model.y_thresholds_[-1]:
        _no_order()
    return {
        "scores": model.X_thresholds_.tolist(),
        "probabilities": model.y_thresholds_.tolist(),
    }


def _limits(valid: Scored) -> tuple[float, float]:
    """The least and the greatest probability that so many pairs speak for (Platt 1999)."""
    return 1 / (len(valid.negatives) + 2), (len(valid.links) + 1) / (len(valid.links) + 2)


def _no_order() -> dict[str, float]:
    """The logistic calibration where scores say nothing; it tells."""
    log.warning(
        "validation scores its links no higher than its negatives: every probability is the prior"
    )
    return {"slope": 0.0, "intercept": 0.0}
