"""`runner-compare <folder> …`: one table of many runs, beside the published figures.

Reads run folders alone: summary.json, meta.json and status.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas
from scipy.stats import ttest_ind_from_stats

from runner.errors import RunnerError
from runner.seal import Damaged, read_json

PUBLISHED_RUNS = 10
_REPEATS = ["dataset", "model", "experiment", "seeds"]


def collect(folders: Sequence[Path]) -> pandas.DataFrame:
    """All runs in and below `folders`, a row each, metrics in %.

    Raises:
        RunnerError: if a folder does not exist or there is no run.
    """
    rows = []
    for folder in folders:
        if not folder.is_dir():
            raise RunnerError(f"{folder}: there is no such folder")
        rows += [_row(status.parent) for status in sorted(folder.rglob("status.json"))]
    if not rows:
        raise RunnerError(f"no runs in {', '.join(map(str, folders))}")
    return pandas.DataFrame(rows).drop_duplicates("folder")


def _row(folder: Path) -> dict[str, Any]:
    status, summary, meta = (
        _read(folder / f"{name}.json") for name in ("status", "summary", "meta")
    )
    row = {"folder": str(folder.absolute()), "status": status.get("status", "unreadable")}
    if row["status"] != "done":
        return row
    try:
        return {**row, **_result(summary, meta)}
    except (KeyError, TypeError, AttributeError):
        return {**row, "status": "unreadable"}


def _result(summary: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
    metric, published = summary["select"], summary["published"] or {}
    comparable = published.get("metric") == metric
    return {
        "dataset": summary["dataset"],
        "model": summary["model"],
        "experiment": meta.get("experiment") or "",
        "seeds": json.dumps(meta.get("seeds") or summary["seed"]),
        "metric": metric,
        "test": 100 * summary["test"][metric],
        "seconds": summary["seconds"],
        "published_mean": published.get("mean") if comparable else None,
        "published_std": published.get("std") if comparable else None,
    }


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text()
        found = json.loads(text)
        if "sha256" in found:
            found = read_json(text)
    except (OSError, ValueError, TypeError, Damaged):
        return {}
    return found if isinstance(found, dict) else {}


def table(runs: pandas.DataFrame) -> pandas.DataFrame:
    """Mean and standard deviation (ddof 1) over seeds of each model on each dataset.

    Runs that differ in nothing but their seeds make a row. Of two with the same seeds the later one
    in the list counts. The p-value is two-sided, of Welch's test against the published mean and
    standard deviation of 10 runs; it needs at least two runs here.
    """
    done = runs[runs["status"] == "done"]
    if done.empty:
        return pandas.DataFrame()
    done = done.drop_duplicates(_REPEATS, keep="last")
    grouped = done.groupby(["dataset", "model", "experiment"], sort=False)
    rows = grouped.agg(
        metric=("metric", "first"),
        runs=("test", "size"),
        mean=("test", "mean"),
        std=("test", "std"),
        published_mean=("published_mean", "first"),
        published_std=("published_std", "first"),
        seconds=("seconds", "mean"),
    ).reset_index()
    rows["difference"] = rows["mean"] - rows["published_mean"].astype(float)
    rows["p"] = [
        _welch(*values)
        for values in zip(
            rows["mean"],
            rows["std"],
            rows["runs"],
            rows["published_mean"].astype(float),
            rows["published_std"].astype(float),
            strict=True,
        )
    ]
    return rows


def _welch(
    mean: float, std: float, runs: int, published_mean: float, published_std: float
) -> float:
    """NaN where a figure is missing, a spread is zero on both sides, or there is a single run."""
    if runs < 2 or (std == 0 and published_std == 0):
        return float("nan")
    return float(
        ttest_ind_from_stats(
            mean, std, runs, published_mean, published_std, PUBLISHED_RUNS, equal_var=False
        ).pvalue
    )


def readable(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The table in words: percentages with their spread, and what is unknown left empty."""
    several = rows.duplicated(["dataset", "model"], keep=False)
    digest = rows["experiment"].str.rsplit("-", n=1).str[-1]
    return pandas.DataFrame(
        {
            "dataset": rows["dataset"],
            "model": rows["model"] + (" " + digest).where(several, ""),
            "metric": rows["metric"],
            "runs": rows["runs"],
            "test %": [_spread(*pair) for pair in zip(rows["mean"], rows["std"], strict=True)],
            "published %": [
                _spread(*pair)
                for pair in zip(rows["published_mean"], rows["published_std"], strict=True)
            ],
            "difference": [_number(value, "+.2f") for value in rows["difference"]],
            "p": [_number(value, ".3f") for value in rows["p"]],
            "seconds": [_number(value, ".0f") for value in rows["seconds"]],
        }
    )


def _spread(mean: Any, std: Any) -> str:
    if pandas.isna(mean):
        return ""
    return f"{mean:.2f}" if pandas.isna(std) else f"{mean:.2f} ± {std:.2f}"


def _number(value: float, form: str) -> str:
    return "" if pandas.isna(value) else format(value, form)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `runner-compare` command."""
    parser = argparse.ArgumentParser(
        prog="runner-compare",
        description="Mean and spread over seeds of the runs below some folders, beside the "
        "published figures.",
    )
    parser.add_argument("folders", nargs="+", type=Path, help="run folders, or folders of them")
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    parser.add_argument("--csv", type=Path, help="write its numbers to this file")
    options = parser.parse_args(arguments)
    try:
        runs = collect(options.folders)
        rows = table(runs)
        if rows.empty:
            raise RunnerError("none of the runs is finished")
        shown = readable(rows)
        if options.markdown:
            options.markdown.write_text(
                shown.to_markdown(index=False, disable_numparse=True) + "\n"
            )
        if options.csv:
            rows.to_csv(options.csv, index=False)
    except (RunnerError, OSError) as error:
        print(f"runner-compare: {error}", file=sys.stderr)
        return 1
    _print(shown)
    for line in _left_out(runs):
        print(line)
    return 0


def _print(shown: pandas.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table

    view = Table(*shown.columns)
    for row in shown.itertuples(index=False):
        view.add_row(*map(str, row))
    # Wide where nobody's terminal says otherwise, so that a log keeps its rows whole.
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(view)


def _left_out(runs: pandas.DataFrame) -> Iterator[str]:
    for status, count in runs[runs["status"] != "done"]["status"].value_counts().items():
        yield f"left out: {count} {status}"
    repeated = int(runs[runs["status"] == "done"].duplicated(_REPEATS).sum())
    if repeated:
        yield f"left out: {repeated} repeated with the same seeds"


if __name__ == "__main__":
    sys.exit(main())
