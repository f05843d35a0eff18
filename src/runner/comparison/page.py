"""The HTML page: one self-contained file, readable without a network or a script."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import pandas
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from runner.comparison import figures, representations, topology
from runner.comparison.curves import curves
from runner.comparison.differences import compact
from runner.comparison.groups import Group
from runner.comparison.hardest import hardest_of_rows
from runner.comparison.html import asset, embed_json, look, sorted_tables, template
from runner.comparison.importance import Search, importances, searches
from runner.comparison.marks import marked
from runner.comparison.representations import Representations
from runner.comparison.run import Run
from runner.comparison.settings import ABSENT, in_words
from runner.comparison.significance import PAIRED_RUNS, PAIRS_AMONG, by_column, pairs
from runner.comparison.table import mean_and_std, number, p_value, published_text, spread
from runner.comparison.terminal import caveats
from runner.comparison.topology import Topology

_HERE = "runner.comparison"
_UNSORTED = 30  # rows up to which a table keeps their order
_BEST = 10  # runs in the table of a search


def page(
    runs: Sequence[Run],
    groups: Sequence[Group],
    rows: pandas.DataFrame,
    found: Sequence[Topology],
    compared: Sequence[Representations],
    *,
    title: str,
    alpha: float,
    at: Path,
) -> str:
    """The whole page.

    Args:
        runs: all runs, of any status.
        groups: groups of the finished runs.
        rows: `table(groups)`, in the same order.
        found: of the groups whose runs report their nodes.
        compared: of the datasets whose runs have kept their embeddings.
        title: the folders and conditions of the command.
        alpha: level of significance of the p-values.
        at: where the page will lie, for links to files beside the runs.
    """
    columns = by_column(groups)
    numbers = {id(group): row for group, row in zip(groups, rows.to_dict("records"), strict=True)}
    hyper = searches(runs)
    with importances(hyper) as shares:  # the longest part, computed beside the others
        parts = {
            "title": title,
            "alpha": alpha,
            "written": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "statuses": Counter(run.status for run in runs).most_common(),
            "notes": list(caveats(groups)),
            "results": [_results(*of, members, numbers) for of, members in columns.items()],
            "pairs": _pairs(groups, alpha),
            "pairs_among": PAIRS_AMONG,
            "paired_runs": PAIRED_RUNS,
            "curves": [_curves(*of, members) for of, members in columns.items()],
            "shown": figures.SHOWN,
            "topologies": [_topology(of) for of in found],
            "representations": [_representations(of) for of in compared],
            "hardest": [
                {"dataset": dataset, "metric": metric, "rows": rows}
                for (dataset, metric), members in columns.items()
                if (rows := hardest_of_rows(members, at))
            ],
            "costs": [_costs(*of, members, numbers) for of, members in columns.items()],
            "comparison": embed_json(_comparison(runs, groups)),
            "runs": [_run(run) for run in runs],
            "unfinished": [_run(run) for run in runs if run.status != "done"],
            "style": look(),
            "tables": sorted_tables(),
            "script": Markup(asset(_HERE, "page.js")),
            "plotly": Markup(_plotly()),
        }
        return template(_HERE, "page.html.j2").render(
            parts, searches=list(map(_search, hyper, shares))
        )


def _results(
    dataset: str, metric: str, groups: Sequence[Group], numbers: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    """A dataset's table: a column for each metric, the selected one first, the best marked.

    Very many rows are sorted by their mean.
    """
    if len(groups) > _UNSORTED:
        groups = _rank(groups)
    names = dict.fromkeys([metric])
    names |= dict.fromkeys(
        name for group in groups for run in group.runs if run.result for name in run.result.test
    )
    means = {name: [_mean_and_std(group, name) for group in groups] for name in names}
    best = {name: _highest(mean for mean, _ in of) for name, of in means.items()}
    several = len(groups) > 1
    rows = []
    for index, group in enumerate(groups):
        row = numbers[id(group)]
        rows.append(
            {
                "label": group.label,
                "runs": row["runs"],
                "metrics": [
                    {
                        "text": marked(spread(*means[name][index]), row["marks"]),
                        "value": means[name][index][0],
                        "best": several and round(means[name][index][0], 2) == best[name],
                    }
                    for name in names
                ],
                "published": published_text(row),
                "published_value": row["published_mean"],
                "difference": number(row["difference"], "+.2f"),
                "p": p_value(row["p"]),
            }
        )
    return {
        "dataset": dataset,
        "metric": metric,
        "protocol": groups[0].protocol,
        "metrics": list(names),
        "rows": rows,
        "any_published": any(row["published"] for row in rows),
    }


def _highest(means: Iterable[float]) -> float:
    """The highest mean, rounded as printed; NaN if no row has the metric."""
    return max((round(mean, 2) for mean in means if not math.isnan(mean)), default=math.nan)


def _mean_and_std(group: Group, metric: str) -> tuple[float, float]:
    """Mean and standard deviation over a group, in %; NaN if a run lacks the metric."""
    values = [run.result.test.get(metric) for run in group.runs if run.result]
    return mean_and_std([math.nan if value is None else 100 * value for value in values])


def _pairs(groups: Sequence[Group], alpha: float) -> list[dict[str, Any]]:
    by: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for pair in pairs(groups):
        by.setdefault((pair.dataset, pair.metric), []).append(
            {
                "pair": pair,
                "difference": number(pair.difference, "+.2f"),
                "p": p_value(pair.p),
                "corrected": p_value(pair.corrected),
                "significant": pair.corrected < alpha,
            }
        )
    return [
        {"dataset": dataset, "metric": metric, "rows": rows}
        for (dataset, metric), rows in by.items()
    ]


def _rank(groups: Sequence[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: -fmean(group.tests))


def _curves(dataset: str, metric: str, groups: Sequence[Group]) -> dict[str, Any]:
    titles = {
        f"valid/{metric}": f"validation {metric}, %",
        f"test/{metric}": f"test {metric}, %",
        "loss": "training loss",
    }
    listed = _rank(groups)[: figures.LISTED]
    of_groups = {group.label: curves(group, list(titles)) for group in listed}
    plots = []
    for name, title in titles.items():
        found = {label: of[name] for label, of in of_groups.items() if name in of}
        # Models without training have one epoch, which makes no curve.
        if any(curve.epochs.size > 1 for curve in found.values()):
            plots.append(_plot(title, figures.curves_figure(found, title)))
    return {"dataset": dataset, "plots": plots, "total": len(groups), "listed": len(listed)}


def _costs(
    dataset: str, metric: str, groups: Sequence[Group], numbers: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    rows = [
        {
            "label": group.label,
            "runs": row["runs"],
            "epochs": number(row["epochs"], ".0f"),
            "seconds": number(row["seconds"], ".1f"),
            "seconds_value": row["seconds"],
            "spread": number(row["seconds_std"], ".1f"),
            "epoch": number(row["seconds"] / row["epochs"] if row["epochs"] else math.nan, ".3g"),
            "memory": number(row["peak_memory_gib"], ".2f"),
            "memory_value": row["peak_memory_gib"],
        }
        for group in groups
        for row in [numbers[id(group)]]
    ]
    ranked = _rank(groups)
    kinds: list[Literal["seconds", "GiB"]] = ["seconds", "GiB"]
    if not any(row["memory"] for row in rows):
        kinds.remove("GiB")
    plots = [_plot(kind, figures.cost_figure(ranked, kind)) for kind in kinds]
    return {"dataset": dataset, "metric": metric, "rows": rows, "plots": plots}


def _topology(found: Topology) -> dict[str, Any]:
    tables = [
        {"title": title, "columns": list(table.columns), "rows": table.values.tolist()}
        for title, table in topology.readable(found).items()
    ]
    plots = [
        _plot(f"metric by {by}", figures.bins_figure(topology.bins_of(found, by), by))
        for by in topology.BY
        if found.metrics
    ]
    shift = topology.shift_in_words(found)
    return {"heading": topology.heading(found), "shift": shift, "tables": tables, "plots": plots}


def _representations(found: Representations) -> dict[str, Any]:
    table = representations.readable(found)
    plots = [
        _plot(name, figures.agreement_figure(found.runs, matrix))
        for name, matrix in (
            ("cosine of relative representations", found.cosine),
            ("shared nearest neighbours", found.neighbours),
        )
    ]
    return {
        "heading": representations.heading(found),
        "plots": plots,
        "columns": list(table.columns),
        "rows": table.values.tolist(),
    }


def _search(search: Search, shares: Mapping[str, float]) -> dict[str, Any]:
    best = sorted(range(len(search.runs)), key=lambda index: -search.objective[index])[:_BEST]
    return {
        "search": search,
        "settings": search.settings,
        "importance": _plot("", figures.importance_figure(shares)) if shares else None,
        "coordinates": _plot("", figures.coordinates_figure(search, shares)),
        "best": [
            {
                "run": search.runs[index].name,
                "valid": f"{search.objective[index]:.2f}",
                "test": f"{search.tests[index]:.2f}",
                "values": [_setting(search, key, index) for key in search.keys],
            }
            for index in best
        ],
    }


def _setting(search: Search, key: str, index: int) -> str:
    settings = search.runs[index].settings
    return in_words(settings[key]) if key in settings else ABSENT


def _comparison(runs: Sequence[Run], groups: Sequence[Group]) -> dict[str, Any]:
    """Settings of all runs, and the two to show first: from the two best rows of a dataset."""
    keys, values, rows = compact(runs)
    names = [f"{run.name} ({run.status})" if run.status != "done" else run.name for run in runs]
    first = next(iter(by_column(groups).values()), [])
    best = [runs.index(group.runs[0]) for group in _rank(first)[:2]]
    start = best if len(best) == 2 else [0, 1]
    return {"names": names, "keys": keys, "values": values, "rows": rows, "start": start}


def _run(run: Run) -> dict[str, Any]:
    result = run.result
    select = result.select if result else ""
    selection = result.selection if result else None
    return {
        "run": run,
        "select": select,
        "valid": number(100 * result.valid.get(select, math.nan), ".2f") if result else "",
        "test": number(100 * result.test[select], ".2f") if result else "",
        "epoch": "" if result is None or result.best_epoch is None else result.best_epoch,
        "seconds": number(result.seconds, ".1f") if result else "",
        "evaluations": selection["evaluations"] if selection else "",
        "last": number(100 * selection["last"]["test"].get(select, math.nan), ".2f")
        if selection
        else "",
    }


def _plot(name: str, figure: figures.Figure) -> dict[str, Any]:
    return {"name": name, "json": embed_json(figure)}


def _plotly() -> str:
    return get_plotlyjs().replace("</script", "<\\/script")
