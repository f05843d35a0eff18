"""How the metrics of nodes go with their topological concentration and degree, from nodes.csv."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
from scipy import stats

from runner.comparison.groups import Group
from runner.comparison.table import number
from runner.config.reports import NODES

PARTS = {"train": "training", "valid": "validation", "test": "test"}
BY = ("tc_train", "tc_valid", "tc_test", "degree")
_TC = (0, 0.2, 0.4, 0.6, 0.8, 1)
_DEGREE = (0, 1, 2, 4, 8, 16, 32, 64, 128)
# By the class of a split; any other may be either.
_ORDER = {
    "TimeSplit": "links of the test are later than those of training",
    "RandomSplit": (
        "means nothing here: on a random split the links of all parts are alike, and the "
        "difference is only what the removal of links causes"
    ),
}
_UNKNOWN = "means something only if this split, which came with the data, goes by time"


@dataclass(frozen=True)
class Topology:
    """The nodes of a group of runs: every figure is a mean over the runs that have a report.

    Attributes:
        metrics: of nodes, in [0, 1].
        means: `part`, `nodes`, and the mean `tc` and `atc` over the nodes with a link of the part.
        shift: mean of TC by training links less TC by test links, over nodes that have both.
        meaning: of the shift, by the split.
        correlations: `by`, `metric`, `pearson`, `spearman`, over the ranked nodes.
        bins: `by`, `from`, `to` (without it, but for TC 1), `nodes`, and a column for each metric.
    """

    dataset: str
    label: str
    runs: int
    metrics: Sequence[str]
    means: pandas.DataFrame
    shift: float
    meaning: str
    correlations: pandas.DataFrame
    bins: pandas.DataFrame


def topologies(groups: Sequence[Group]) -> list[Topology]:
    """One for each group of which a run has a report of its nodes."""
    return [found for group in groups if (found := _topology(group)) is not None]


def read_nodes(folder: Path | None) -> pandas.DataFrame | None:
    """The report in a run folder; None where there is none, or the names of nodes alone."""
    try:
        nodes = pandas.read_csv(folder / NODES) if folder is not None else None
    except (OSError, ValueError):
        return None
    return nodes if nodes is not None and {"degree", "tc_train"} <= {*nodes.columns} else None


def _topology(group: Group) -> Topology | None:
    reports = [nodes for run in group.runs if (nodes := read_nodes(run.folder)) is not None]
    if not reports:
        return None
    metrics = [name for name in reports[0].columns if name.startswith("test/")]
    metrics = [name for name in metrics if all(name in nodes for nodes in reports)]
    split = str(group.runs[0].settings.get("protocol.split._target_")).rpartition(".")[2]
    return Topology(
        dataset=group.dataset,
        label=group.label,
        runs=len(reports),
        metrics=[name.removeprefix("test/") for name in metrics],
        means=_mean([_means(nodes) for nodes in reports], ["part"]),
        shift=float(np.mean([(nodes.tc_train - nodes.tc_test).mean() for nodes in reports])),
        meaning=_ORDER.get(split, _UNKNOWN),
        correlations=_mean([_correlations(n, metrics) for n in reports], ["by", "metric"]),
        bins=_mean([_bins(nodes, metrics) for nodes in reports], ["by", "from", "to"]),
    )


def _mean(tables: Sequence[pandas.DataFrame], keys: list[str]) -> pandas.DataFrame:
    return pandas.concat(tables).groupby(keys, sort=False, as_index=False).mean()


def _means(nodes: pandas.DataFrame) -> pandas.DataFrame:
    rows = [
        {
            "part": words,
            "nodes": nodes[f"tc_{part}"].count(),
            "tc": nodes[f"tc_{part}"].mean(),
            "atc": nodes[f"atc_{part}"].mean(),
        }
        for part, words in PARTS.items()
    ]
    return pandas.DataFrame(rows)


def _correlations(nodes: pandas.DataFrame, metrics: Sequence[str]) -> pandas.DataFrame:
    rows = []
    for by in BY:
        for name in metrics:
            both = nodes[[by, name]].dropna()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", stats.ConstantInputWarning)  # NaN says the same
                enough = len(both) > 1
                pearson, spearman = (
                    float(of(both[by], both[name]).statistic) if enough else np.nan
                    for of in (stats.pearsonr, stats.spearmanr)
                )
            name = name.removeprefix("test/")
            rows.append({"by": by, "metric": name, "pearson": pearson, "spearman": spearman})
    return pandas.DataFrame(rows)


def _bins(nodes: pandas.DataFrame, metrics: Sequence[str]) -> pandas.DataFrame:
    ranked = nodes[nodes[list(metrics)].notna().all(axis=1)]
    rows = []
    for by in BY:
        # The highest bin of TC holds 1 itself.
        edges = (*_DEGREE, np.inf) if by == "degree" else (*_TC[:-1], np.inf)
        ends = edges[1:] if by == "degree" else _TC[1:]
        for begin, below, end in zip(edges[:-1], edges[1:], ends, strict=True):
            inside = ranked[(ranked[by] >= begin) & (ranked[by] < below)]
            means = {name.removeprefix("test/"): inside[name].mean() for name in metrics}
            rows.append({"by": by, "from": begin, "to": end, "nodes": len(inside), **means})
    return pandas.DataFrame(rows)


def readable(found: Topology) -> dict[str, pandas.DataFrame]:
    """Its tables as text, by their titles."""
    some = found.bins[found.bins["nodes"] > 0]
    ranges = [_range(*of) for of in zip(some["by"], some["from"], some["to"], strict=True)]
    tables = {
        "concentration by the links of a part": found.means,
        "correlation over ranked nodes": found.correlations,
        "mean metric by bin": some.assign(bin=ranges)[["by", "bin", "nodes", *found.metrics]],
    }
    return {title: table.apply(_in_words) for title, table in tables.items()}


def bins_of(found: Topology, by: str) -> dict[str, tuple[list[str], list[float]]]:
    """The names of the bins and the mean in each, of every metric."""
    rows = found.bins[found.bins["by"] == by]
    names = [_range(by, *of) for of in zip(rows["from"], rows["to"], strict=True)]
    return {name: (names, rows[name].tolist()) for name in found.metrics}


def _range(by: str, begin: float, end: float) -> str:
    if by != "degree":
        return f"{begin:g} to {end:g}"
    if np.isinf(end):
        return f"{begin:g} and more"
    return f"{begin:g}" if end == begin + 1 else f"{begin:g} to {end - 1:g}"


def _in_words(column: pandas.Series) -> pandas.Series:
    if not pandas.api.types.is_numeric_dtype(column):
        return column
    form = ".0f" if column.name == "nodes" else ".3f"
    return column.map(lambda value: number(value, form))


def heading(found: Topology) -> str:
    """What the tables are of."""
    runs = f"{found.runs} run{'s' if found.runs > 1 else ''}"
    return f"topology of {found.dataset} {found.label}, {runs}"


def shift_in_words(found: Topology) -> str:
    """The shift, and what it means on this split."""
    if np.isnan(found.shift):
        return "shift of TC: no node has links of training and of the test"
    return f"shift of TC, training less test: {found.shift:.4f}; {found.meaning}"
