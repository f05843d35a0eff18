"""The `runner-compare` command."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import EXIT_INTERRUPTED, RunnerError

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console

    from runner.comparison.groups import Group
    from runner.comparison.representations import Representations
    from runner.comparison.run import Run
    from runner.comparison.significance import Pair
    from runner.comparison.topology import Topology

_REFUSALS = 20  # limit of printed ones
_ANCHORS = 256
_ERROR = 2  # exit code, as argparse's for a command line that cannot be read


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns 0, 1 if `--check` finds a lower mean, or 2 for an error."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names of runs may have any characters
    try:
        _refuse_contradictions(options)
        return _compare(options)
    except RunnerError as error:
        print(f"runner-compare: {error}", file=sys.stderr)
        return _ERROR
    except BrokenPipeError:  # `runner-compare … | head`
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runner-compare",
        description="Mean and spread over seeds of the runs below some folders, beside the "
        "published figures. Reads run folders and sweep folders alone.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="folder", help="run folders, or folders above them"
    )
    which = parser.add_argument_group("which runs")
    which.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only runs whose config says so; also !=, <, <=, > and >=, and status=…; repeatable",
    )
    which.add_argument(
        "--group-by",
        nargs="+",
        metavar="KEY",
        help="a row for each value of these config keys (and dataset and model), instead of for "
        "each experiment",
    )
    which.add_argument(
        "--published-only",
        action="store_true",
        help="without the runs that have a published figure and another setting, or other data",
    )
    which.add_argument("--metric", help="compare this metric instead of the one that was selected")
    out = parser.add_argument_group("what to write")
    out.add_argument("--pairs", action="store_true", help="test every two rows of a dataset")
    out.add_argument(
        "--diff", nargs=2, metavar="RUN", help="print in which settings two of the runs differ"
    )
    out.add_argument(
        "--topology",
        action="store_true",
        help="print how the metrics of nodes go with topological concentration and degree, of runs "
        "with run.node_report=true",
    )
    out.add_argument(
        "--representations",
        action="store_true",
        help="print how far embeddings of two runs agree, of runs with run.keep_embeddings=true",
    )
    out.add_argument(
        "--anchors",
        type=_count,
        metavar="N",
        help=f"nodes that --representations describes the others by (default {_ANCHORS})",
    )
    out.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to this file")
    out.add_argument("--csv", type=Path, metavar="FILE", help="write its numbers to this file")
    out.add_argument("--latex", type=Path, metavar="FILE", help="write it as a booktabs table")
    out.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    gate = parser.add_argument_group("a gate for CI")
    gate.add_argument(
        "--check",
        action="store_true",
        help="exit with 1 if a mean is significantly lower than published, with 2 if a row with "
        "a published figure has fewer than 3 seeds",
    )
    gate.add_argument(
        "--alpha", type=_level, default=0.05, help="level of significance (default 0.05)"
    )
    return parser


def _level(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1; 0.05 is usual")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no number of nodes; {_ANCHORS} is usual")
    return int(text)


def _refuse_contradictions(options: argparse.Namespace) -> None:
    files = [
        path for name in ("markdown", "csv", "latex", "html") if (path := getattr(options, name))
    ]
    for path in files:
        if files.count(path) > 1:
            raise RunnerError(f"{path}: two options write to this file; give each its own")
    if options.anchors and not options.representations:
        raise RunnerError("--anchors are those of --representations; give both, or leave it out")
    others = options.check, options.pairs, options.topology, options.representations
    if options.diff and (files or any(others)):
        raise RunnerError("--diff prints two runs' settings and nothing else; leave the others out")


def _compare(options: argparse.Namespace) -> int:
    # Imported here, so that --help and a mistyped option answer at once.
    from runner.comparison.collect import collect

    read = collect(options.folders)  # imports pandas and scipy while other processes read

    from runner.comparison import terminal
    from runner.comparison.differences import differences, find
    from runner.comparison.fingerprints import distinguish_data
    from runner.comparison.groups import group
    from runner.comparison.published import only_as_published
    from runner.comparison.representations import representations
    from runner.comparison.significance import pairs
    from runner.comparison.table import table
    from runner.comparison.topology import topologies
    from runner.comparison.where import select

    out = terminal.console()
    runs = distinguish_data(select(read, options.where))
    if options.published_only:
        runs = only_as_published(runs)
    if options.diff:
        a, b = (find(runs, name) for name in options.diff)
        terminal.show_differences(a, b, differences(a, b), out)
        return 0
    groups = group(runs, keys=options.group_by, metric=options.metric)
    rows = table(groups)
    if rows.empty and (_wants_tables(options) or not (options.check or options.html)):
        terminal.show_left_out(runs, groups, out)
        setting = " in the published setting" if options.published_only else ""
        raise RunnerError(f"none of the runs is finished{setting}")
    tested = pairs(groups) if options.pairs else []
    found = topologies(groups) if options.topology or options.html else []
    if options.topology and not found:
        raise RunnerError(
            "--topology: no finished run here has a report of its nodes; start runs with "
            "run.node_report=true, or write it with `runner-evaluate <run> --nodes`"
        )
    compared = (
        representations(groups, anchors=options.anchors or _ANCHORS)
        if options.representations
        else []
    )
    _write(options, runs, groups, rows, tested, found, compared)
    if options.check:
        return _judge(groups, runs, options.alpha, out)
    if not rows.empty:
        terminal.show_table(rows, out)
    if options.pairs:
        terminal.show_pairs(tested, groups, out)
    if options.topology:
        terminal.show_topologies(found, out)
    terminal.show_representations(compared, out)
    terminal.show_left_out(runs, groups, out)
    return 0


def _judge(groups: Sequence[Group], runs: Sequence[Run], alpha: float, out: Console) -> int:
    from runner.comparison import terminal
    from runner.comparison.gate import judge

    judgement = judge(groups, runs, alpha)
    terminal.show_judgement(judgement, alpha, out)
    terminal.show_left_out(runs, groups, out)
    _print_refusals(judgement.refusals, nothing=not judgement.verdicts)
    return judgement.exit_code


def _write(
    options: argparse.Namespace,
    runs: Sequence[Run],
    groups: Sequence[Group],
    rows: DataFrame,
    tested: Sequence[Pair],
    found: Sequence[Topology],
    compared: Sequence[Representations],
) -> None:
    """Build all requested files, then write them."""
    from runner.comparison import writers

    texts = {}
    if options.markdown:
        texts[options.markdown] = writers.markdown(rows, tested)
    if options.csv:
        texts[options.csv] = writers.csv(rows)
    if options.latex:
        texts[options.latex] = writers.latex(rows)
    if options.html:
        from runner.comparison.page import page

        title = ", ".join([*map(str, options.folders), *options.where])
        at, alpha = options.html, options.alpha
        texts[at] = page(runs, groups, rows, found, compared, title=title, alpha=alpha, at=at)
    writers.write_all(texts)


def _wants_tables(options: argparse.Namespace) -> bool:
    return any((options.markdown, options.csv, options.latex))


def _print_refusals(refusals: Sequence[str], *, nothing: bool) -> None:
    for line in refusals[:_REFUSALS]:
        print(f"runner-compare: cannot judge {line}", file=sys.stderr)
    if len(refusals) > _REFUSALS:
        print(f"runner-compare: … nor {len(refusals) - _REFUSALS} more", file=sys.stderr)
    if nothing:
        print(
            "runner-compare: --check: nothing could be judged; it takes finished runs of at least "
            "3 seeds of a model with a published figure",
            file=sys.stderr,
        )
