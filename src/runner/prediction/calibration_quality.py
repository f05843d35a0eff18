"""How well scores or probabilities tell links: AUC, AP, Brier score, expected calibration error."""

from __future__ import annotations

import numpy as np

BINS = 15  # of equal width, as Guo et al. 2017


def quality(
    scores: np.ndarray, is_link: np.ndarray, *, base_rate: float, probabilities: bool = True
) -> dict[str, float | None]:
    """The measures `auc`, `ap`, `brier` and `ece`, as if links had this share of the pairs.

    Shapes:
        scores: (P,) float64; is_link: (P,) bool, with both values.

    Args:
        probabilities: of scores that are none, only the ranking counts: `brier` and `ece` are None.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # slow to import

    weight = weights(is_link, base_rate)
    found: dict[str, float | None] = {
        "auc": float(roc_auc_score(is_link, scores, sample_weight=weight)),
        "ap": float(average_precision_score(is_link, scores, sample_weight=weight)),
        "brier": None,
        "ece": None,
    }
    if probabilities:
        found["brier"] = float(weight @ (scores - is_link) ** 2)
        found["ece"] = expected_calibration_error(scores, is_link, weight)
    return found


def weights(is_link: np.ndarray, base_rate: float) -> np.ndarray:
    """Weights of sum 1, (P,) float64, under which links have this share of the pairs."""
    links = int(is_link.sum())
    return np.where(is_link, base_rate / links, (1 - base_rate) / (len(is_link) - links))


def expected_calibration_error(
    probability: np.ndarray, is_link: np.ndarray, weight: np.ndarray
) -> float:
    """The mean distance of the probability of a bin from the share of links in it.

    Shapes:
        all (P,); `weight` sums to 1.
    """
    bins = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    return float(np.abs(np.bincount(bins, weight * (probability - is_link))).sum())
