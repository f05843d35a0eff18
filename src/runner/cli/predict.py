"""The `runner-predict` command: a trained run in use."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import EXIT_INTERRUPTED, RunnerError
from runner.machine import startup
from runner.machine.environment import prepare_environment

if TYPE_CHECKING:
    from pandas import DataFrame

    from runner.prediction.run import Run

_SHOWN = 100  # rows of a table on a terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns 0, 1 for an error or rows without a score, 130 for an interrupt."""
    options = _parser().parse_intermixed_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        return _predict(options)
    except RunnerError as error:
        print(f"runner-predict: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `runner-predict … | head`
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("runner-predict: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runner-predict",
        description="Scores, new links and embeddings from a trained run.",
        allow_abbrev=False,
    )
    parser.add_argument("run", help="a run folder, or latest: the newest below outputs/")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="where the dataset lies now: dataset.path=…, dataset.root=…",
    )
    what = parser.add_argument_group("what (one of these)").add_mutually_exclusive_group()
    what.add_argument(
        "--pairs", type=Path, metavar="FILE", help="score each row of a table of pairs"
    )
    what.add_argument("--node", nargs="+", metavar="NAME", help="the best new links of nodes")
    what.add_argument("--all", action="store_true", help="the best new links of the whole graph")
    what.add_argument(
        "--explain", nargs=2, metavar="NAME", help="why a pair has its score, as a table"
    )
    what.add_argument(
        "--explain-hardest",
        type=int,
        metavar="K",
        help="pages of the K hardest test links and negatives, in the run's folder; "
        "runner-compare --html links to them",
    )
    what.add_argument("--export", type=Path, metavar="FOLDER", help="the run as a folder to share")
    what.add_argument("--embeddings", type=Path, metavar="FILE", help="the embedding of each node")
    how = parser.add_argument_group("how")
    how.add_argument("--output", type=Path, metavar="FILE", help=".csv, .tsv or .parquet")
    how.add_argument("--top", type=int, metavar="K", help="links of a node (20), or of all (1000)")
    how.add_argument(
        "--threshold", type=float, metavar="P", help="probability that a link of --all needs"
    )
    how.add_argument(
        "--prior",
        type=float,
        metavar="SHARE",
        help="of links among the pairs that are asked about, for probabilities (default: the "
        "graph's density)",
    )
    how.add_argument("--html", type=Path, metavar="FILE", help="--explain as a page")
    how.add_argument(
        "--include-known", action="store_true", help="links that the data has, too, so marked"
    )
    how.add_argument(
        "--columns", nargs=2, metavar="COLUMN", help="the two ends in --pairs, by name or from 0"
    )
    how.add_argument("--side", choices=("source", "target"), help="of a node in a bipartite graph")
    how.add_argument(
        "--graph",
        choices=("test", "all"),
        help="the links that scores see: those of the test, or all, for real use (default: test)",
    )
    how.add_argument(
        "--add-links",
        type=Path,
        metavar="FILE",
        help="links that came after training: scores see them, nothing is trained",
    )
    how.add_argument(
        "--add-features",
        type=Path,
        metavar="FILE",
        help="of new nodes in --add-links: a table of a column of names, then numbers",
    )
    how.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    return parser


def _predict(options: argparse.Namespace) -> int:
    startup.begin()
    prepare_environment()
    action = _action(options)
    if options.output is not None:
        from runner.prediction.table_writer import check

        check(options.output, [])
    from runner.prediction.run import load  # torch

    run = load(
        options.run,
        graph=options.graph or "test",
        device=options.device,
        prior=options.prior,
        overrides=options.overrides,
    )
    if options.add_links is not None:
        run = _with_links(run, options.add_links, options.add_features)
    startup.end()
    return action(run, options)


def _with_links(run: Run, links: Path, features: Path | None) -> Run:
    import pandas

    from runner.prediction.added_links import read_links

    table = None
    if features is not None:
        try:
            # As text: 007 and NaN are names, and stay as they are written.
            table = pandas.read_csv(
                features, sep=None, engine="python", dtype=str, keep_default_na=False
            )
            table = table.set_index(table.columns[0])
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
            raise RunnerError(f"--add-features {features}: it cannot be read ({reason})") from None
    return run.with_links(read_links(links, bipartite=run.bipartite), table)


def _action(options: argparse.Namespace) -> Callable[[Run, argparse.Namespace], int]:
    """What is asked for; contradictions are refused before anything is loaded."""
    actions = {
        "pairs": _score_pairs, "node": _top_of_nodes, "all": _top_of_all,
        "embeddings": _write_embeddings, "explain": _explain,
        "explain_hardest": _explain_hardest, "export": _export,
    }  # fmt: skip
    asked = [name for name in actions if _is_given(options, name)]
    if not asked:
        raise RunnerError(f"what is asked for? Say one of {', '.join(map(_flag, actions))}")
    seen = tuple(name for name in actions if name not in ("export", "explain_hardest"))
    belongs = {
        "top": ("node", "all"), "columns": ("pairs",), "side": ("node",),
        "include_known": ("node", "all"), "output": ("pairs", "node", "all", "explain"),
        "add_links": seen, "graph": seen, "threshold": ("all",), "html": ("explain",),
        "prior": ("pairs", "node", "all", "explain", "explain_hardest"),
    }  # fmt: skip
    for option, of in belongs.items():
        if _is_given(options, option) and asked[0] not in of:
            others = " and ".join(map(_flag, of))
            raise RunnerError(f"{_flag(option)}: it belongs to {others}")
    if asked[0] == "pairs" and options.output is None:
        raise RunnerError("--pairs: where to? Say --output FILE")
    if options.add_features is not None and options.add_links is None:
        raise RunnerError("--add-features: of which nodes? It belongs to --add-links")
    for option in ("top", "explain_hardest"):
        value = getattr(options, option)
        if value is not None and value < 1:
            raise RunnerError(f"{_flag(option)} {value}: it takes a whole number from 1")
    return actions[asked[0]]


def _is_given(options: argparse.Namespace, name: str) -> bool:
    value = getattr(options, name)
    return value is not None and value is not False


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _score_pairs(run: Run, options: argparse.Namespace) -> int:
    from rich.console import Console

    from runner.prediction.pair_tables import opened
    from runner.prediction.scored_pairs import score_table
    from runner.terminal.bar import Bar, drawn

    with opened(options.pairs, run.nodes, ends=options.columns) as pairs:
        bar = Bar(Console(stderr=True), total=pairs.size, completed=0)
        bar.show(options.pairs.name, "")
        with drawn(bar):
            outcome = score_table(
                run,
                pairs,
                options.output,
                show=lambda done, _: bar.update(bar.task.id, completed=done),
            )
    print(f"{outcome.scored} pairs scored: {options.output}")
    if outcome.unscored:
        raise RunnerError(
            f"{options.pairs}: without a score: {outcome.unscored} rows; column reason says why "
            f"({outcome.first})"
        )
    return 0


def _top_of_nodes(run: Run, options: argparse.Namespace) -> int:
    import pandas

    known = options.include_known
    frames = [
        run.top(node, options.top or 20, side=options.side, include_known=known)
        for node in options.node
    ]
    return _give(pandas.concat(frames, ignore_index=True), options.output)


def _top_of_all(run: Run, options: argparse.Namespace) -> int:
    found = run.top_links(
        options.top or 1000,
        threshold=options.threshold,
        include_known=options.include_known,
    )
    return _give(found, options.output)


def _explain(run: Run, options: argparse.Namespace) -> int:
    explanation = run.explain(*options.explain)
    if options.html is not None:
        print(f"page: {explanation.page(options.html)}")
        if options.output is None:
            return 0
    else:
        print(explanation.in_words())
    return _give(explanation.as_table(), options.output)


def _explain_hardest(run: Run, options: argparse.Namespace) -> int:
    from runner.prediction.hardest import explain_hardest

    for file in explain_hardest(run, options.explain_hardest):
        print(f"page: {file}")
    print("runner-compare … --html page.html links to them")
    return 0


def _write_embeddings(run: Run, options: argparse.Namespace) -> int:
    import pandas

    frame = pandas.DataFrame(run.embeddings())
    frame.columns = [str(number) for number in frame.columns]
    frame.insert(0, "node", list(run.nodes))
    return _give(frame, options.embeddings)


def _export(run: Run, options: argparse.Namespace) -> int:
    print(f"to share: {run.export(options.export)}")
    return 0


def _give(frame: DataFrame, output: Path | None) -> int:
    """Write a table, or print its first rows."""
    if output is not None:
        import pyarrow

        from runner.prediction.table_writer import written

        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
        with written(output, table.schema) as write:
            write(table)
        print(f"{len(frame)} rows: {output}")
        return 0
    if frame.empty:
        print("no rows")
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table()
    for name in frame.columns:
        is_text = frame[name].dtype.kind not in "fiub"
        shown.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text)
    for row in frame.head(_SHOWN).itertuples(index=False):
        shown.add_row(*(Text(_cell(value)) for value in row))
    Console().print(shown)
    if len(frame) > _SHOWN:
        print(f"{_SHOWN} of {len(frame)} rows; all of them: --output FILE")
    return 0


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return str(value)
