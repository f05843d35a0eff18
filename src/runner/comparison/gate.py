"""`--check`: whether a mean is significantly lower than published, for CI."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from runner.comparison.groups import Group
from runner.comparison.marks import marks
from runner.comparison.published import OTHER_SETTING, published_figure
from runner.comparison.run import Run
from runner.comparison.significance import against_published, holm

FEWEST_SEEDS = 3
LOWER, REFUSED = 1, 2  # exit codes; 0 if no mean is lower


@dataclass(frozen=True)
class Verdict:
    """A judged group.

    Attributes:
        mean, std, published_mean, published_std: in %.
        p: one-sided, of Welch's test for a mean lower than published.
        corrected: p by Holm, over all judged groups.
    """

    dataset: str
    label: str
    metric: str
    runs: int
    mean: float
    std: float
    published_mean: float
    published_std: float
    p: float
    corrected: float
    lower: bool


@dataclass(frozen=True)
class Judgement:
    """All verdicts.

    Attributes:
        refusals: reasons that a row with a published figure, or with a mark, is not judged.
        notes: rows whose published figure has no spread, or is unverified.
    """

    verdicts: Sequence[Verdict]
    refusals: Sequence[str]
    notes: Sequence[str]

    @property
    def exit_code(self) -> int:
        """1 if a mean is lower; else 2 if a row is refused, or none was judged; else 0."""
        if any(verdict.lower for verdict in self.verdicts):
            return LOWER
        return REFUSED if self.refusals or not self.verdicts else 0


def judge(groups: Sequence[Group], runs: Sequence[Run], alpha: float) -> Judgement:
    """Judge every group that has a verified published figure with a spread.

    Args:
        groups: groups of the finished runs.
        runs: all runs; a model without a finished run is a refusal.
        alpha: level of significance of the corrected p-values.
    """
    refusals, notes = [], []
    judged = []
    for group in groups:
        where = f"{group.dataset} {group.label}"
        objections = [mark.reason for mark in marks(group)]
        refusals += [f"{where}: {reason}" for reason in objections]
        figure = published_figure(group)
        if figure is None or objections:
            continue
        if figure["std"] is None:
            notes.append(f"{where}: the published {figure['mean']:.2f} has no spread to judge by")
        elif figure["unverified"]:
            notes.append(f"{where}: the published {figure['mean']:.2f} is unverified")
        elif len(group.runs) < FEWEST_SEEDS:
            refusals.append(
                f"{where}: {_count_seeds(len(group.runs))}; at least {FEWEST_SEEDS} are needed, "
                "run more seeds"
            )
        else:
            judged.append((group, figure))
    p_values = [_p_of_lower(group.tests, figure["mean"], figure["std"]) for group, figure in judged]
    verdicts = [
        Verdict(
            dataset=group.dataset,
            label=group.label,
            metric=group.metric,
            runs=len(group.runs),
            mean=fmean(group.tests),
            std=stdev(group.tests),
            published_mean=figure["mean"],
            published_std=figure["std"],
            p=p,
            corrected=corrected,
            lower=corrected < alpha,
        )
        for (group, figure), p, corrected in zip(judged, p_values, holm(p_values), strict=True)
    ]
    return Judgement(verdicts, [*refusals, *_list_missing_results(groups, runs)], notes)


def _p_of_lower(tests: Sequence[float], mean: float, std: float) -> float:
    p = against_published(tests, mean, std, "less")
    if math.isnan(p):  # no spread on either side
        return 0.0 if round(fmean(tests), 2) < round(mean, 2) else 1.0
    return p


def _list_missing_results(groups: Sequence[Group], runs: Sequence[Run]) -> list[str]:
    """Lines for the models that have a published figure and no finished run."""
    finished = {(group.dataset, group.model) for group in groups}
    # The dataset of a job without a folder may be unknown.
    finished |= {("", group.model) for group in groups}
    lost: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        model = (run.dataset, run.model)
        # A job without a folder, or with a damaged config, may have a published figure.
        if run.result is None and model not in finished and _may_be_published(run):
            lost.setdefault(model, []).append(run.status)
    return [
        f"{' '.join(filter(None, model)) or 'a run of unknown model'}: no finished run "
        f"({', '.join(f'{states.count(state)} {state}' for state in dict.fromkeys(states))})"
        for model, states in lost.items()
    ]


def _may_be_published(run: Run) -> bool:
    if run.status in ("pruned", OTHER_SETTING):
        return False
    if run.folder is None or not run.settings:
        return True
    return f"protocol.published.{run.model}.mean" in run.settings


def _count_seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
