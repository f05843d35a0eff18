"""A row for each group: mean and spread over its runs, beside the published figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas

from runner.comparison.groups import Group
from runner.comparison.marks import marked, marks, names, objections, targets_visible
from runner.comparison.published import differing, published_figure
from runner.comparison.run import Result
from runner.comparison.significance import against_published
from runner.terminal.tables import differences_in_words


def table(groups: Sequence[Group]) -> pandas.DataFrame:
    """The numbers: metrics in %, standard deviations with ddof 1, seconds, GiB.

    `p` is two-sided, from Welch's test against the published mean and standard deviation of 10
    runs; it needs at least two runs, in the published setting and on the published data: what
    `differs` is empty then. `unverified` marks a published figure that was remembered, and not read
    again in its source. `best` marks the highest mean of each dataset and metric,
    rounded as printed, if there are several rows.
    """
    rows = pandas.DataFrame([_row(group) for group in groups])
    if rows.empty:
        return rows
    shown = rows["mean"].round(2)
    columns = shown.groupby([rows["dataset"], rows["metric"]], sort=False)
    rows["best"] = (shown == columns.transform("max")) & (columns.transform("size") > 1)
    return rows


def _row(group: Group) -> dict[str, Any]:
    mean, std = mean_and_std(group.tests)
    valid_mean, valid_std = mean_and_std(group.valids)
    results = [run.result for run in group.runs if run.result]
    seconds, seconds_std = mean_and_std([result.seconds for result in results])
    published = published_figure(group)
    differs = differences_in_words(differing(group), most=None)
    against = marks(group)
    of, spread_of = (published["mean"], published["std"]) if published else (math.nan, None)
    return {
        "dataset": group.dataset,
        "protocol": group.protocol,
        "model": group.model,
        "setting": group.label,
        "experiment": group.experiment,
        "metric": group.metric,
        "runs": len(results),
        "mean": mean,
        "std": std,
        "published_mean": of,
        "published_std": math.nan if spread_of is None else spread_of,
        "unverified": bool(published and published["unverified"]),
        "difference": mean - of,
        "differs": differs,
        "p": math.nan if differs else against_published(group.tests, of, spread_of),
        "valid_mean": valid_mean,
        "valid_std": valid_std,
        "epochs": mean_and_std([_or_nan(result.epochs) for result in results])[0],
        "seconds": seconds,
        "seconds_std": seconds_std,
        "peak_memory_gib": max(_or_nan(result.peak_memory_gib) for result in results),
        "marks": names(against),
        "objections": objections(against),
        "targets_visible": targets_visible(group),
        "evaluations": mean_and_std([_of_selection(of)[0] for of in results])[0],
        "last_mean": 100 * mean_and_std([_of_selection(of, group.metric)[1] for of in results])[0],
    }


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (ddof 1; NaN for a single value)."""
    array = np.asarray(values, dtype=float)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else math.nan


def _of_selection(result: Result, metric: str = "") -> tuple[float, float]:
    """How often the test was looked at, and the mean of the last looks; NaN for unknown."""
    if result.selection is None:
        return math.nan, math.nan
    last = result.selection["last"]["test"]
    return result.selection["evaluations"], _or_nan(last.get(metric))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def readable(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The table as text: percentages with their spread, unknown values empty."""
    if rows.empty:
        return pandas.DataFrame()
    return pandas.DataFrame(
        {
            "dataset": rows["dataset"],
            "protocol": rows["protocol"],
            "model": rows["setting"],
            "metric": rows["metric"],
            "runs": rows["runs"].astype(str),
            "test %": tests(rows),
            "published %": [published_text(row) for _, row in rows.iterrows()],
            "difference": [number(value, "+.2f") for value in rows["difference"]],
            "p": [p_value(value) for value in rows["p"]],
            "seconds": [number(value, ".0f") for value in rows["seconds"]],
            "GiB": [number(value, ".2f") for value in rows["peak_memory_gib"]],
        }
    )


def published_text(row: Mapping[str, Any]) -> str:
    """The published figure of a row, marked where nobody has read it again in its source."""
    text = spread(row["published_mean"], row["published_std"])
    return f"{text} (unverified)" if row["unverified"] else text


def tests(rows: pandas.DataFrame) -> list[str]:
    """The figures of some rows as text, with their marks."""
    columns = zip(rows["mean"], rows["std"], rows["marks"], strict=True)
    return [marked(spread(mean, std), found) for mean, std, found in columns]


def spread(mean: float, std: float) -> str:
    """`89.05 ± 0.96`; without a spread the mean alone."""
    if pandas.isna(mean):
        return ""
    return f"{mean:.2f}" if pandas.isna(std) else f"{mean:.2f} ± {std:.2f}"


def number(value: float, form: str) -> str:
    """A formatted number; NaN is empty."""
    return "" if pandas.isna(value) else format(value, form)


def p_value(value: float) -> str:
    """A p-value to three digits, never zero."""
    return "<0.001" if value < 0.001 else number(value, ".3f")
