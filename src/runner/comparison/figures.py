"""The plots of the page, as data and layout for plotly.js; the tests check them with plotly.

The script of the page sets the fonts and backgrounds of the reader's theme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np

from runner.comparison.curves import Curve
from runner.comparison.groups import Group
from runner.comparison.importance import Search, is_logarithmic, is_numeric
from runner.comparison.settings import ABSENT, in_words

Figure = dict[str, Any]

# Distinct on white and on near-black, also for most colour-blind readers.
COLOURS = (
    "#2f80c8", "#e07b28", "#1f9d78", "#c9549a", "#8b6fd6", "#a8871a", "#17a2b8", "#d8504d",
)  # fmt: skip
_SCALE = [[0, "#5b8fd6"], [0.5, "#a06fd0"], [1, "#e8743b"]]
_DASHES = ("solid", "dash", "dot", "dashdot")
SHOWN, LISTED = 5, 16  # curves shown at first, and in the legend
_SYMBOLS = ("circle", "diamond")
_AXES = 12  # of parallel coordinates
_TICKS = 12


def curves_figure(curves: Mapping[str, Curve], title: str) -> Figure:
    """Mean and a band of one standard deviation for each label, the best 5 shown at first."""
    traces = []
    for index, (label, curve) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        shared = {
            "type": "scatter",
            "legendgroup": label,
            "visible": True if index < SHOWN else "legendonly",
        }
        banded = np.isfinite(curve.std)
        if banded.any():
            x, mean, std = curve.epochs[banded], curve.mean[banded], curve.std[banded]
            band = {
                "x": [*x.tolist(), *x[::-1].tolist()],
                "y": [*_rounded(mean + std), *_rounded((mean - std)[::-1])],
                "mode": "lines",
                "line": {"width": 0},
                "fill": "toself",
                "fillcolor": _transparent(colour),
                "hoverinfo": "skip",
                "showlegend": False,
            }
            traces.append(shared | band)
        line = {
            "x": curve.epochs.tolist(),
            "y": _rounded(curve.mean),
            "customdata": curve.runs.tolist(),
            "mode": "lines" if curve.epochs.size > 1 else "markers",
            "line": {"color": colour, "dash": _DASHES[index // len(COLOURS) % len(_DASHES)]},
            "name": _plain(label),
            "hovertemplate": "%{y:.4g} (%{customdata} runs)",
        }
        traces.append(shared | line)
    return _figure(traces, "epoch", title, hovermode="x unified")


def cost_figure(groups: Sequence[Group], cost: Literal["seconds", "GiB"]) -> Figure:
    """The metric on test over the cost of a run: its seconds, or its peak memory."""
    traces, costs = [], []
    for index, group in enumerate(groups[:LISTED]):
        values = [
            result.seconds if cost == "seconds" else result.peak_memory_gib
            for result in (run.result for run in group.runs)
            if result
        ]
        known = [value for value in values if value is not None]
        if not known:
            continue
        costs.append(fmean(known) if cost == "seconds" else max(known))
        trace = {
            "type": "scatter",
            "x": costs[-1:],
            "y": [fmean(group.tests)],
            "mode": "markers",
            "marker": {
                "size": 11,
                "color": COLOURS[index % len(COLOURS)],
                "symbol": _SYMBOLS[index // len(COLOURS) % len(_SYMBOLS)],
            },
            "name": _plain(group.label),
            "hovertemplate": "%{x:.3g}: %{y:.2f} %",
        }
        if len(group.tests) > 1:
            trace["error_y"] = {"array": [stdev(group.tests)], "thickness": 1.5}
        traces.append(trace)
    title = "seconds a run" if cost == "seconds" else "peak memory, GiB"
    figure = _figure(traces, title, f"test {groups[0].metric}, %")
    if is_logarithmic(costs):
        figure["layout"]["xaxis"]["type"] = "log"
    return figure


def bins_figure(metrics: Mapping[str, tuple[Sequence[str], Sequence[float]]], by: str) -> Figure:
    """Bars for each metric: its mean over the nodes of each bin."""
    traces = [
        {
            "type": "bar",
            "x": list(names),
            "y": list(values),
            "name": _plain(metric),
            "marker": {"color": COLOURS[index % len(COLOURS)]},
            "hovertemplate": "%{x}: %{y:.3f}",
        }
        for index, (metric, (names, values)) in enumerate(metrics.items())
    ]
    figure = _figure(traces, by, "mean of the nodes", barmode="group")
    figure["layout"]["xaxis"]["type"] = "category"
    return figure


def agreement_figure(runs: Sequence[str], agreement: np.ndarray) -> Figure:
    """A cell for each two runs."""
    names = [_plain(f"{number}: {name}") for number, name in enumerate(runs, 1)]  # each another
    cells = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": [_rounded(row) for row in agreement],
        "colorscale": _SCALE,
        "hovertemplate": "%{x}<br>%{y}: %{z:.3f}<extra></extra>",
    }
    figure = _figure([cells], "", "", height=190 + 24 * len(names))
    figure["layout"]["xaxis"] = {"type": "category", "automargin": True}
    figure["layout"]["yaxis"] = {"type": "category", "automargin": True, "autorange": "reversed"}
    return figure


def importance_figure(shares: Mapping[str, float]) -> Figure:
    """A bar for each key, the most important one on top."""
    names = sorted(shares, key=lambda name: shares[name])
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [shares[name] for name in names],
        "y": [_plain(name) for name in names],
        "text": [f"{shares[name]:.0%}" for name in names],
        "textangle": 0,
        "marker": {"color": COLOURS[0]},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
        "showlegend": False,
    }
    figure = _figure([bars], "share of the variance", "", height=110 + 30 * len(names))
    figure["layout"]["xaxis"] |= {"tickformat": ".0%", "rangemode": "tozero"}
    figure["layout"]["yaxis"]["type"] = "category"
    return figure


def coordinates_figure(search: Search, shares: Mapping[str, float]) -> Figure:
    """Parallel coordinates: an axis for each key (the most important 12), and the metric."""
    order = sorted(
        zip(search.keys, search.names, strict=True), key=lambda pair: -shares.get(pair[1], 0.0)
    )
    axes = [_axis(_plain(name), search.values(key)) for key, name in order[:_AXES]]
    lines = {
        "type": "parcoords",
        "dimensions": [
            *axes,
            {"label": "valid, %", "values": list(search.objective)},
            {"label": "test, %", "values": list(search.tests)},
        ],
        "line": {"color": list(search.objective), "colorscale": _SCALE, "showscale": False},
    }
    margin = {"l": 60, "r": 60, "t": 60, "b": 30}
    return {"data": [lines], "layout": {"height": 380, "margin": margin}}


def _axis(label: str, values: Sequence[Any]) -> dict[str, Any]:
    if is_numeric(values):
        distinct = sorted({float(value) for value in values})
        if not is_logarithmic(values):
            axis: dict[str, Any] = {"label": label, "values": [float(value) for value in values]}
            return axis | ({"tickvals": distinct} if len(distinct) <= _TICKS else {})
        logs = [math.log10(value) for value in values]
        ticks = distinct if len(distinct) <= _TICKS else _round_ticks(distinct[0], distinct[-1])
        return {
            "label": label,
            "values": logs,
            "tickvals": [math.log10(tick) for tick in ticks],
            "ticktext": [f"{tick:.3g}" for tick in ticks],
        }
    texts = [ABSENT if value is None else in_words(value) for value in values]
    distinct_texts = sorted(set(texts))
    return {
        "label": label,
        "values": [distinct_texts.index(text) for text in texts],
        "tickvals": list(range(len(distinct_texts))),
        "ticktext": [_plain(text[-24:]) for text in distinct_texts],
    }


def _round_ticks(low: float, high: float) -> list[float]:
    """1, 3, 10, 30, … between two numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = (factor * 10.0**power for power in powers for factor in (1, 3))
    return [tick for tick in ticks if low <= tick <= high]


def _figure(traces: Sequence[dict[str, Any]], x: str, y: str, **layout: Any) -> Figure:
    axes: Figure = {"xaxis": {"title": {"text": x}}, "yaxis": {}}
    if y:
        axes["yaxis"]["title"] = {"text": _plain(y)}
    return {"data": list(traces), "layout": {**axes, **layout}}


def _rounded(values: np.ndarray) -> list[float]:
    """Round to five digits, so that a page of many curves stays small."""
    return [float(f"{value:.5g}") for value in values]


def _plain(text: str) -> str:
    """Escape text, so that plotly does not read it as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _transparent(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
