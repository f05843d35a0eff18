"""The page's plots, as plotly figures without colours of their own surroundings.

The page's script gives them the fonts and backgrounds of the reader's theme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
import plotly.graph_objects as go

from runner.compare.curves import Curve
from runner.compare.groups import Group
from runner.compare.importance import Search, is_logarithmic, is_numeric
from runner.compare.settings import ABSENT, in_words

# Told apart on white and on near-black, and by most who see colours otherwise.
COLOURS = (
    "#2f80c8", "#e07b28", "#1f9d78", "#c9549a", "#8b6fd6", "#a8871a", "#17a2b8", "#d8504d",
)  # fmt: skip
_SCALE = [[0, "#5b8fd6"], [0.5, "#a06fd0"], [1, "#e8743b"]]
_DASHES = ("solid", "dash", "dot", "dashdot")
SHOWN, LISTED = 5, 16  # curves that are shown at first, and that can be
_SYMBOLS = ("circle", "diamond")
_AXES = 12  # of parallel coordinates
_TICKS = 12


def curves_figure(curves: Mapping[str, Curve], title: str) -> go.Figure:
    """Mean and a band of one standard deviation for each label, the best 5 shown at first."""
    figure = _figure(xaxis_title="epoch", yaxis_title=title)
    for index, (label, curve) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        visible = True if index < SHOWN else "legendonly"
        banded = np.isfinite(curve.std)
        if banded.any():
            x, mean, std = curve.epochs[banded], curve.mean[banded], curve.std[banded]
            figure.add_scatter(
                x=np.concatenate([x, x[::-1]]).astype(np.float32),
                y=np.concatenate([mean + std, (mean - std)[::-1]]).astype(np.float32),
                fill="toself",
                fillcolor=_transparent(colour),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=label,
                visible=visible,
                mode="lines",
            )
        figure.add_scatter(
            x=curve.epochs.astype(np.float32),
            y=curve.mean.astype(np.float32),
            customdata=curve.runs.astype(np.float32),
            mode="lines" if curve.epochs.size > 1 else "markers",
            line={"color": colour, "dash": _DASHES[index // len(COLOURS) % len(_DASHES)]},
            name=_plain(label),
            legendgroup=label,
            visible=visible,
            hovertemplate="%{y:.4g} (%{customdata} runs)",
        )
    figure.update_layout(hovermode="x unified")
    return figure


def cost_figure(groups: Sequence[Group], cost: str) -> go.Figure:
    """The metric on test over what a run takes: `seconds`, or `GiB` at most."""
    titles = {"seconds": "seconds a run", "GiB": "peak memory, GiB"}
    figure = _figure(xaxis_title=titles[cost], yaxis_title=f"test {groups[0].metric}, %")
    costs = []
    for index, group in enumerate(groups[:LISTED]):
        values = [
            result.seconds if cost == "seconds" else result.peak_memory_gib
            for result in (run.result for run in group.runs)
            if result
        ]
        known = [value for value in values if value is not None]
        if not known:
            continue
        x = fmean(known) if cost == "seconds" else max(known)
        costs.append(x)
        spread = stdev(group.tests) if len(group.tests) > 1 else None
        figure.add_scatter(
            x=[x],
            y=[fmean(group.tests)],
            error_y={"array": [spread], "thickness": 1.5} if spread else None,
            mode="markers",
            marker={
                "size": 11,
                "color": COLOURS[index % len(COLOURS)],
                "symbol": _SYMBOLS[index // len(COLOURS) % len(_SYMBOLS)],
            },
            name=_plain(group.label),
            hovertemplate="%{x:.3g}: %{y:.2f} %",
        )
    if costs and min(costs) > 0 and max(costs) > 10 * min(costs):
        figure.update_xaxes(type="log")
    return figure


def importance_figure(shares: Mapping[str, float]) -> go.Figure:
    """A bar for each key, the most important one on top."""
    names = sorted(shares, key=lambda name: shares[name])
    figure = _figure(xaxis_title="share of the variance")
    figure.add_bar(
        x=[shares[name] for name in names],
        y=[_plain(name) for name in names],
        orientation="h",
        marker={"color": COLOURS[0]},
        text=[f"{shares[name]:.0%}" for name in names],
        textangle=0,
        hovertemplate="%{y}: %{x:.3f}",
        showlegend=False,
    )
    figure.update_yaxes(automargin=True, type="category")
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    figure.update_layout(height=90 + 30 * len(names))
    return figure


def coordinates_figure(search: Search, shares: Mapping[str, float]) -> go.Figure:
    """Parallel coordinates: an axis for each key (the most important 12), and the metric."""
    order = sorted(
        zip(search.keys, search.names, strict=True), key=lambda pair: -shares.get(pair[1], 0.0)
    )
    axes = [_axis(_plain(name), search.values(key)) for key, name in order[:_AXES]]
    figure = go.Figure(
        go.Parcoords(
            dimensions=[
                *axes,
                {"label": f"valid {search.metric}, %", "values": list(search.objective)},
                {"label": f"test {search.metric}, %", "values": list(search.tests)},
            ],
            line={
                "color": list(search.objective),
                "colorscale": _SCALE,
                "showscale": False,
            },
        )
    )
    figure.update_layout(template="none", height=380, margin={"l": 60, "r": 60, "t": 60, "b": 30})
    return figure


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


def _figure(**layout: Any) -> go.Figure:
    return go.Figure(layout={"template": "none", **layout})


def _plain(text: str) -> str:
    """Text that plotly does not take for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _transparent(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
