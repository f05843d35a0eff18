"""The page of an explanation: one HTML file, readable from disk, without a network or a script."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from runner.comparison.html import asset, embed_json, look, sorted_tables, template
from runner.prediction.drawing import SOURCE, TALL, TARGET, WIDE, draw
from runner.prediction.neighbourhood import Neighbour

if TYPE_CHECKING:
    from runner.prediction.explanation import PairExplanation

_HERE = "runner.prediction"
_ROWS = 1000  # of the table


def page(explained: PairExplanation) -> str:
    """The whole page."""
    drawn = explained.drawn
    nodes = {SOURCE: drawn.source, TARGET: drawn.target, **dict(enumerate(drawn.neighbours))}
    described = {index: _describe(node) for index, node in nodes.items()}
    return template(_HERE, "explanation.html.j2").render(
        explained=explained,
        contributes=any(node.contribution is not None for node in nodes.values()),
        figures=list(_figures(explained)),
        drawings={"wide": draw(drawn, WIDE), "tall": draw(drawn, TALL)},
        described=described,
        details=embed_json(described),
        rows=list(_rows(explained)),
        columns=[name for name in explained.table if name not in ("group", "node", "contribution")],
        left_out=max(0, len(explained.table) - _ROWS),
        style=look() + Markup(asset(_HERE, "explanation.css")),
        tables=sorted_tables(),
        script=Markup(asset(_HERE, "explanation.js")),
    )


def _figures(explained: PairExplanation) -> Iterator[tuple[str, str]]:
    """What is said of the pair, beside the picture: labels and values."""
    yield "score", _number(explained.score)
    if explained.probability is not None:
        yield "probability", f"{100 * explained.probability:.1f} %"
    for name, share in explained.below.items():
        # 100 % is said of all alone.
        yield f"of test {name} score lower", f"{min(share, 99.9) if share < 100 else share:.1f} %"
    yield "in the data", "linked" if explained.known else "not linked"
    for name, value in explained.facts.items():
        yield name, _number(value) if math.isfinite(value) else "none"


def _describe(node: Neighbour) -> dict[str, Any]:
    """What a node tells when it is pointed at."""
    lines = [_words(name, value) for role in node.roles for name, value in role.items()]
    return {"name": node.name, "lines": [f"degree {node.degree}", *lines]}


def _words(name: str, value: Any) -> str:
    if name == "group":
        return str(value)
    return f"{name} {_signed(value) if name == 'contribution' else _number(value)}"


def _rows(explained: PairExplanation) -> Iterator[Mapping[str, Any]]:
    table = explained.table.head(_ROWS)
    largest = float(table["contribution"].abs().max())
    for row, place in zip(table.to_dict("records"), explained.drawn.places, strict=False):
        contribution = row.pop("contribution")
        yield {
            "group": row.pop("group"),
            "index": place,
            "node": row.pop("node"),
            "value": contribution,
            "contribution": "" if math.isnan(contribution) else _signed(contribution),
            "share": 0 if not largest > 0 else round(100 * abs(contribution) / largest, 1),
            "others": [("" if math.isnan(x) else _number(x), x) for x in row.values()],
        }


def _signed(value: float) -> str:
    return f"{value:+.3g}"


def _number(value: float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
