"""The closing tables of a run and of a sweep."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_DIFFERENCES = 6  # named


def closing_table(summary: Mapping[str, Any], console: Console) -> None:
    """Print a run's results: metrics at the best epoch, published figure, time and memory.

    Args:
        summary: content of summary.json (metrics in [0, 1], published figure in %) with `folder`,
            `upload` (a command or None) and, for an online run, `url`.
        console: plain output, unless it is a terminal.
    """
    from rich.table import Table
    from rich.text import Text

    published = published_figures(summary)
    table = Table()
    table.add_column("metric")
    table.add_column("valid %", justify="right")
    table.add_column("test %", justify="right")
    if published:
        table.add_column("published %", justify="right")
        table.add_column("difference", justify="right")
    for metric in summary["test"]:
        test = summary["test"][metric]
        row = [metric, _percent(summary["valid"].get(metric)), _percent(test)]
        if published:
            figure = published.get(metric)
            row += (
                [_figure(figure, console), f"{100 * test - figure['mean']:+.2f}"]
                if figure
                else ["", ""]
            )
        chosen = metric == summary["select"]
        table.add_row(*[Text(cell) for cell in row], style="bold" if chosen else None)
    _heading(console, _title(summary))
    if summary["test"]:  # a run without evaluation has no metrics
        console.print(table)
    for metric, figure in published.items():
        if metric not in summary["test"]:
            _line(console, "published", f"{metric} {_figure(figure, console)} %")
    if summary.get("differs"):
        words = differences_in_words(summary["differs"])
        _line(console, "note", f"not the published setting: {words}")
    peak = summary.get("peak_memory_gib")
    memory = "" if peak is None else f", peak memory {peak:.2f} GiB"
    _line(console, "time", _duration(summary["seconds"]) + memory)
    _line(console, "run folder", summary["folder"])
    if summary.get("upload"):
        _line(console, "upload", summary["upload"])
    elif summary.get("url"):
        _line(console, "W&B", summary["url"])


def evaluation_table(
    title: str, found: Mapping[str, Mapping[str, float]], console: Console
) -> None:
    """Print metrics in [0, 1] of `valid` and `test`."""
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("metric")
    table.add_column("valid %", justify="right")
    table.add_column("test %", justify="right")
    for metric, test in found["test"].items():
        table.add_row(Text(metric), _percent(found["valid"][metric]), _percent(test))
    _heading(console, title)
    console.print(table)


def published_figures(summary: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The published figure of each metric that has one, from the content of summary.json."""
    first = summary.get("published")
    figures = [first, *first.get("also", [])] if first else []
    return {str(figure["metric"]): figure for figure in figures}


def differences_in_words(rows: Sequence[Mapping[str, Any]], most: int | None = _DIFFERENCES) -> str:
    """`train.epochs 10, published 100; …`: in what a run is not the published one.

    Args:
        rows: as `config.setting.differences` gives them.
        most: so many are named, the first; None for all.
    """
    named = [_difference(row) for row in rows[:most]]
    more = [f"and {len(rows) - len(named)} more"] if len(rows) > len(named) else []
    return "; ".join([*named, *more])


def _difference(row: Mapping[str, Any]) -> str:
    of = f", published {_plain(row['published'])}" if "published" in row else ""
    return f"{row['key']} {_plain(row['value'])}{of}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def sweep_table(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print a row for each job of a sweep, then the folder or the error of each.

    Args:
        rows: for each job `job` (number), `overrides` (list), `status`, and `folder`, `result`
            (metric, valid and perhaps test, in [0, 1]) and `error`, any of them None.
        console: plain output, unless it is a terminal.
    """
    from rich.table import Table
    from rich.text import Text

    states = Counter(row["status"] for row in rows)
    title = ", ".join(f"{count} {state}" for state, count in states.items())
    title = f"{len(rows)} jobs: {title}"
    table = Table()
    table.add_column("job", justify="right")
    table.add_column("overrides", overflow="fold")
    table.add_column("status")
    table.add_column("metric")
    table.add_column("valid %", justify="right")
    table.add_column("test %", justify="right")
    for row in rows:
        result = row["result"] or {}
        cells = [
            str(row["job"]),
            " ".join(row["overrides"]),
            row["status"],
            result.get("metric", ""),
            _percent(result.get("valid")),
            _percent(result.get("test")),
        ]
        style = "red" if row["status"] == "failed" else None
        table.add_row(*[Text(cell) for cell in cells], style=style)
    _heading(console, title)
    console.print(table)
    for row in rows:
        if row["error"]:
            _line(console, f"job {row['job']}", f"failed: {row['error']}")
        elif row["folder"]:
            _line(console, f"job {row['job']}", row["folder"])


def _title(summary: Mapping[str, Any]) -> str:
    of = f" of {summary['epochs']}" if "epochs" in summary else ""
    how = f"best epoch {summary['best_epoch']}{of}, by validation {summary['select']}"
    if summary["select"] is None:
        how = f"epoch {summary['best_epoch']}{of}, not evaluated"
    if summary["best_epoch"] == 0:
        how = "without training"
    return f"{summary['model']} on {summary['dataset']}, seed {summary['seed']}: {how}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _figure(figure: Mapping[str, Any], console: Console) -> str:
    text = f"{figure['mean']:.2f}"
    if figure.get("std") is not None:
        text += f" {'+/-' if console.options.ascii_only else '±'} {figure['std']:.2f}"
    return text + (" (unverified)" if figure.get("unverified") else "")


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _heading(console: Console, text: str) -> None:
    console.print(text, style="bold", markup=False, highlight=False, soft_wrap=True)


def _line(console: Console, label: str, text: str) -> None:
    # Unwrapped: a user copies paths and commands.
    console.print(f"{label:<10}  {text}", markup=False, highlight=False, soft_wrap=True)
