"""The output of the command on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas

from runner.comparison.gate import Judgement
from runner.comparison.groups import Group
from runner.comparison.marks import marks, not_made, targets_visible
from runner.comparison.representations import Representations
from runner.comparison.representations import heading as representations_heading
from runner.comparison.representations import readable as representations_table
from runner.comparison.run import Run
from runner.comparison.significance import PAIRS_AMONG, Pair, by_column
from runner.comparison.table import p_value, readable, spread
from runner.comparison.topology import Topology, heading, shift_in_words
from runner.comparison.topology import readable as topology_tables
from runner.comparison.writers import pairs_in_words

if TYPE_CHECKING:
    from rich.console import Console

_ROWS = 60
_PROBLEMS = 20


def console() -> Console:
    """A console; without a terminal it is wide, so that a log keeps whole rows."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal else Console(width=160)


def show_table(rows: pandas.DataFrame, out: Console) -> None:
    """Print the table, best means bold; of very many rows only the best of each dataset."""
    shown = rows
    if len(rows) > _ROWS:
        columns = rows.groupby(["dataset", "metric"], sort=False)
        rank = columns["mean"].rank(method="first", ascending=False)
        shown = rows[rank <= max(_ROWS // columns.ngroups, 1)]
    words = readable(shown)
    bold = [
        ["bold" if best and name == "test %" else "" for name in words.columns]
        for best in shown["best"]
    ]
    _print(words, out, bold)
    if len(shown) < len(rows):
        out.print(
            f"the best {len(shown)} of {len(rows)} rows; --csv and --html have all of them",
            highlight=False,
        )


def show_pairs(pairs: Sequence[Pair], groups: Sequence[Group], out: Console) -> None:
    """Print the pairwise tests, or a line that there are none."""
    if not pairs:
        out.print("no pairs: it takes two rows of a dataset with 2 runs each", highlight=False)
        return
    words = pairs_in_words(pairs)
    _print(words, out, [[""] * len(words.columns)] * len(words))
    if any(len(members) > PAIRS_AMONG for members in by_column(groups).values()):
        out.print(f"pairs among the {PAIRS_AMONG} highest means of a dataset", highlight=False)


def show_topologies(found: Sequence[Topology], out: Console) -> None:
    """Print the tables of each group's nodes."""
    for topology in found:
        _line(out, heading(topology))
        for title, table in topology_tables(topology).items():
            _line(out, title)
            _print(table, out, [[""] * len(table.columns)] * len(table))
        _line(out, shift_in_words(topology))


def show_representations(found: Sequence[Representations], out: Console) -> None:
    """Print how far the embeddings of runs agree, a table for each dataset."""
    for compared in found:
        _line(out, representations_heading(compared))
        table = representations_table(compared)
        _print(table, out, [[""] * len(table.columns)] * len(table))


def show_differences(a: Run, b: Run, rows: Sequence[tuple[str, str, str]], out: Console) -> None:
    """Print a row for each key in which two runs differ."""
    frame = pandas.DataFrame(rows, columns=["key", a.name, b.name])
    _print(frame, out, [["", "", ""]] * len(frame))


def show_judgement(judgement: Judgement, alpha: float, out: Console) -> None:
    """Print a row for each judged group."""
    frame = pandas.DataFrame(
        [
            {
                "dataset": verdict.dataset,
                "model": verdict.label,
                "metric": verdict.metric,
                "runs": str(verdict.runs),
                "test %": spread(verdict.mean, verdict.std),
                "published %": spread(verdict.published_mean, verdict.published_std),
                "p": p_value(verdict.p),
                "p (Holm)": p_value(verdict.corrected),
                f"at {alpha:g}": "lower" if verdict.lower else "not lower",
            }
            for verdict in judgement.verdicts
        ]
    )
    if not frame.empty:
        styles = ["bold red" if verdict.lower else "" for verdict in judgement.verdicts]
        _print(frame, out, [[style] * len(frame.columns) for style in styles])
    for line in judgement.notes:
        _line(out, f"not judged: {line}")


def show_left_out(runs: Sequence[Run], groups: Sequence[Group], out: Console) -> None:
    """Print the runs that are not in the means, with the reasons."""
    for line in left_out(runs, groups):
        _line(out, line)
    unfinished = [run for run in runs if run.status != "done"]
    for run in unfinished[:_PROBLEMS]:
        _line(out, f"  {run.status}: {run.name}" + (f": {_brief(run)}" if run.problem else ""))
    if len(unfinished) > _PROBLEMS:
        _line(out, f"  … and {len(unfinished) - _PROBLEMS} more (--html lists all)")
    for run in runs:
        if run.status == "done" and run.problem:
            _line(out, f"note: {run.name}: {_brief(run)}")


def left_out(runs: Sequence[Run], groups: Sequence[Group]) -> Iterator[str]:
    """Lines with the number of runs of each status that are not in the means, and the caveats."""
    statuses = Counter(run.status for run in runs if run.status != "done")
    for status, count in statuses.most_common():
        yield f"left out: {count} {status}"
    yield from caveats(groups)


def caveats(groups: Sequence[Group]) -> Iterator[str]:
    """Lines with repeats left out, marks, visible targets, audits not made, mixed settings."""
    repeated = sum(group.repeated for group in groups)
    if repeated:
        yield f"left out: {repeated} repeated with the same seeds"
    for group in groups:
        unknown = sum(run.graph is None for run in group.runs)
        if 0 < unknown < len(group.runs):
            yield (
                f"note: {unknown} of the {len(group.runs)} runs of {group.dataset} {group.label} "
                "recorded no fingerprint of their graph; they count by the name of the dataset, "
                "own files by their path"
            )
        if group.mixed:
            yield f"mixed: {group.dataset} {group.label} holds runs that differ in " + ", ".join(
                group.mixed
            )
    reasons = [
        f"[{mark.name}]: {group.dataset} {group.label}: {mark.reason} (docs/audits.md)"
        for group in groups
        for mark in marks(group)
    ]
    yield from _few(reasons, "marks (--csv has all)")
    seen = [
        f"note: {group.dataset} {group.label} was trained on targets that stay visible to {visible}"
        for group in groups
        if (visible := targets_visible(group)) not in ("", "no")
    ]
    yield from _few(seen, "rows with visible targets (--csv has all)")
    missing = [
        f"note: {group.dataset} {group.label}: the audit of {name} was not made in {count} of "
        f"{len(group.runs)} runs (runner-evaluate <run folder> --audit makes it)"
        for group in groups
        for name, count in not_made(group).items()
    ]
    yield from _few(missing, "audits that were not made")


def _few(lines: Sequence[str], what: str) -> Iterator[str]:
    yield from lines[:_PROBLEMS]
    if len(lines) > _PROBLEMS:
        yield f"… and {len(lines) - _PROBLEMS} more {what}"


def _brief(run: Run) -> str:
    return next(iter((run.problem or "").splitlines()), "")[:200]


def _print(shown: pandas.DataFrame, out: Console, styles: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    ascii_only = out.options.ascii_only

    def cell(value: object, style: str = "") -> Text:
        text = str(value)
        return Text(text.replace("±", "+/-") if ascii_only else text, style=style)

    view = Table()
    for name in shown.columns:
        view.add_column(cell(name), overflow="fold")
    for row, of in zip(shown.itertuples(index=False), styles, strict=True):
        view.add_row(*map(cell, row, of))
    out.print(view)


def _line(out: Console, text: str) -> None:
    # Without wrapping and markup, so that paths can be copied.
    out.print(text, markup=False, highlight=False, soft_wrap=True)
