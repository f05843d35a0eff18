"""Tests between groups of runs, and Holm's correction for multiple tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev
from typing import Literal

from runner.comparison.groups import Group

PUBLISHED_RUNS = 10
_SAMPLE_FACTOR = math.sqrt(PUBLISHED_RUNS / (PUBLISHED_RUNS - 1))
PAIRED_RUNS = 3  # shared seeds from which on runs are paired
PAIRS_AMONG = 12


def against_published(
    tests: Sequence[float],
    mean: float,
    std: float | None,
    alternative: Literal["two-sided", "less"] = "two-sided",
) -> float:
    """p of Welch's test of some runs against a published mean and spread of 10 runs.

    Args:
        tests: metrics of the runs in %, as `mean` and `std`.
        std: with ddof 0, as the NCN release prints it; the test converts it to ddof 1.
        alternative: `less` tests whether the runs are lower than the published ones.

    Returns:
        NaN if a figure is missing, the spread is zero on both sides, or there is a single run.
    """
    from scipy.stats import ttest_ind_from_stats

    if std is None or len(tests) < 2:
        return math.nan
    spread = stdev(tests)
    if spread == 0 and std == 0:
        return math.nan
    return float(
        ttest_ind_from_stats(
            fmean(tests), spread, len(tests), mean, std * _SAMPLE_FACTOR, PUBLISHED_RUNS,
            equal_var=False, alternative=alternative,
        ).pvalue
    )  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two groups of the same dataset and metric.

    Attributes:
        first, second: their labels; `first` has the higher mean.
        difference: difference of their means over the tested runs, in percentage points.
        test: paired (over common seeds) or Welch.
        runs: number of pairs of runs, or number of runs of each.
        p: two-sided; NaN if nothing varies.
        corrected: p by Holm, over all pairs of the dataset and metric.
    """

    dataset: str
    metric: str
    first: str
    second: str
    difference: float
    test: str
    runs: str
    p: float
    corrected: float


def pairs(groups: Sequence[Group]) -> list[Pair]:
    """Test every two groups of a dataset and metric that have at least 2 runs each.

    Of more than 12 groups, only the 12 highest means are tested.
    """
    found = []
    for (dataset, metric), members in by_column(groups).items():
        several = [group for group in members if len(group.runs) >= 2]
        best = sorted(several, key=lambda group: -fmean(group.tests))[:PAIRS_AMONG]
        tested = [(a, b, *_compare(a, b)) for a, b in combinations(best, 2)]
        corrected = holm([p for *_, p in tested])
        found += [
            Pair(dataset, metric, a.label, b.label, difference, test, runs, p, of_all)
            for (a, b, difference, test, runs, p), of_all in zip(tested, corrected, strict=True)
        ]
    return found


def by_column(groups: Sequence[Group]) -> dict[tuple[str, str], list[Group]]:
    """Comparable groups, by dataset and metric."""
    columns: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        columns.setdefault((group.dataset, group.metric), []).append(group)
    return columns


def _compare(a: Group, b: Group) -> tuple[float, str, str, float]:
    """Difference of the means, name of the test, its runs, and p."""
    from scipy.stats import ttest_ind, ttest_rel

    of_a, of_b = _index_by_seeds(a), _index_by_seeds(b)
    shared = [seeds for seeds in of_a if seeds in of_b]
    if len(shared) >= PAIRED_RUNS:
        x, y = [of_a[seeds] for seeds in shared], [of_b[seeds] for seeds in shared]
        gaps = [first - second for first, second in zip(x, y, strict=True)]
        p = math.nan if _is_constant(gaps) else float(ttest_rel(x, y).pvalue)
        return fmean(gaps), "paired", str(len(shared)), p
    x, y = a.tests, b.tests
    varies = not (_is_constant(x) and _is_constant(y))
    p = float(ttest_ind(x, y, equal_var=False).pvalue) if varies else math.nan
    return fmean(x) - fmean(y), "Welch", f"{len(x)}, {len(y)}", p


def _index_by_seeds(group: Group) -> dict[str, float]:
    """The metric by seeds; empty if two runs have the same seeds (possible with `--group-by`)."""
    found = dict(zip((run.seeds for run in group.runs), group.tests, strict=True))
    return found if len(found) == len(group.runs) else {}


def _is_constant(values: Sequence[float]) -> bool:
    return max(values) - min(values) < 1e-9


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction; NaN stays, and does not count as a test."""
    order = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        corrected[index] = highest
    return corrected
