"""The table as Markdown, CSV and LaTeX."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from errno import EISDIR
from pathlib import Path

import pandas

from runner.comparison.significance import Pair
from runner.comparison.table import number, p_value, published_text, readable, tests
from runner.errors import RunnerError
from runner.storage.files import atomic


def markdown(rows: pandas.DataFrame, pairs: Sequence[Pair]) -> str:
    """The table, best means bold, and the table of the pairs, if there are any."""
    shown = _escaped(readable(rows))
    shown["test %"] = shown["test %"].where(~rows["best"], "**" + shown["test %"] + "**")
    text = shown.to_markdown(index=False, disable_numparse=True) + "\n"
    if pairs:
        words = _escaped(pairs_in_words(pairs))
        text += "\n" + words.to_markdown(index=False, disable_numparse=True) + "\n"
    return text


def _escaped(frame: pandas.DataFrame) -> pandas.DataFrame:
    return frame.map(lambda cell: str(cell).replace("|", "\\|").replace("\n", " "))


def csv(rows: pandas.DataFrame) -> str:
    """The numbers in full."""
    return rows.to_csv(index=False)


def latex(rows: pandas.DataFrame) -> str:
    """A booktabs table: a row for each model, a column for each dataset, best means bold.

    Datasets with published figures have a second column for them.
    """
    cells: dict[tuple[str, str], dict[str, str]] = {}
    best: dict[tuple[str, str], set[str]] = {}
    for (dataset, metric), of in rows.groupby(["dataset", "metric"], sort=False):
        column = f"{dataset} ({metric})"
        names = of["setting"]
        cells[column, "ours"] = dict(zip(names, tests(of), strict=True))
        best[column, "ours"] = set(names[of["best"]])
        if of["published_mean"].notna().any():
            published = [published_text(row) for _, row in of.iterrows()]
            cells[column, "published"] = dict(zip(names, published, strict=True))
    frame = pandas.DataFrame(cells, index=list(dict.fromkeys(rows["setting"]))).fillna("")

    def bold(column: pandas.Series) -> list[str]:
        names = best.get(column.name, set())
        return ["textbf:--rwrap;" if name in names else "" for name in column.index]

    style = frame.style.format(escape="latex").format_index(escape="latex")
    style = style.format_index(escape="latex", axis="columns").apply(bold)
    text = style.to_latex(hrules=True, multicol_align="c", column_format="l" + "c" * len(cells))
    notes = [
        f"% {row.setting} on {row.dataset}: {row.objections}"
        for row in rows[rows["objections"] != ""].itertuples()
    ]
    protocols = [
        f"% {dataset}: protocol={protocol}"
        for dataset, protocol in dict.fromkeys(zip(rows["dataset"], rows["protocol"], strict=True))
    ]
    heading = ["% \\usepackage{booktabs}; means and standard deviations in %", *protocols, *notes]
    return "".join(f"{' '.join(line.split())}\n" for line in heading) + text.replace("±", "$\\pm$")


def pairs_in_words(pairs: Sequence[Pair]) -> pandas.DataFrame:
    """A row for each pair, p-values to three digits."""
    return pandas.DataFrame(
        [
            {
                "dataset": pair.dataset,
                "metric": pair.metric,
                "higher": pair.first,
                "lower": pair.second,
                "difference": number(pair.difference, "+.2f"),
                "test": pair.test,
                "runs": pair.runs,
                "p": p_value(pair.p),
                "p (Holm)": p_value(pair.corrected),
            }
            for pair in pairs
        ]
    )


def write_all(texts: Mapping[Path, str]) -> None:
    """Write all files, or none if one cannot be written.

    Raises:
        RunnerError: naming the file and the reason.
    """
    path = Path()
    try:
        with ExitStack() as together:
            for path, text in texts.items():
                if path.is_dir():
                    raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
                together.enter_context(atomic(path)).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunnerError(
            f"{path}: cannot be written ({error.strerror or error}); give a file in a folder that "
            "exists and has room"
        ) from None
