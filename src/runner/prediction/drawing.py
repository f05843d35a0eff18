"""Where the nodes of a picture stand: the pair's common neighbours between its two ends.

Neighbours of one end stand beyond it. Wide pictures go from left to right, tall ones, for a phone,
from top to bottom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from runner.prediction.neighbourhood import Neighbour, Neighbourhood

Point = tuple[float, float]

SOURCE, TARGET = -2, -1  # indices of the ends, among those of the neighbours

_END = 23.0  # radius of an end
_SMALL, _LARGE = 5.0, 14.0  # radii of neighbours
_BOW = 0.16  # of links among neighbours, by their length
_MARGIN = 30.0


@dataclass(frozen=True)
class Spot:
    """A node: its index among the neighbours, or that of an end, and its circle."""

    index: int
    node: Neighbour
    x: float
    y: float
    radius: float
    label: str
    strength: float

    @property
    def sign(self) -> str:
        """A class: whether it raises or lowers the score."""
        if self.node.contribution is None or self.index < 0:
            return "neutral"
        return "raises" if self.node.contribution >= 0 else "lowers"


@dataclass(frozen=True)
class Line:
    """A curve: its path, its nodes' indices, and its class and strength, from 0 to 1."""

    path: str
    nodes: tuple[int, int]
    kind: str
    strength: float


@dataclass(frozen=True)
class Drawing:
    width: float
    height: float
    spots: Sequence[Spot]
    lines: Sequence[Line]


@dataclass(frozen=True)
class Form:
    """How neighbours are arranged.

    Attributes:
        across: neighbours side by side, at most.
        cell: room of a neighbour, along the picture and across it.
        end: room of an end, along the picture.
        letters: width of a label.
    """

    tall: bool
    across: int
    cell: tuple[float, float]
    end: float
    letters: int


WIDE = Form(tall=False, across=11, cell=(122, 50), end=176, letters=17)
TALL = Form(tall=True, across=3, cell=(58, 112), end=96, letters=13)


def draw(what: Neighbourhood, form: Form) -> Drawing:
    """The picture, in units of a pixel."""
    along, places = _places(what, form)
    half = max(abs(across) for _, across in places.values()) + form.cell[1] / 2 + _MARGIN / 2
    if form.tall:
        half = form.across * form.cell[1] / 2

    def point(along: float, across: float) -> Point:
        return (across + half, along) if form.tall else (along, across + half)

    def curve(one: int, other: int) -> str:
        (a, b), (c, d) = places[one], places[other]
        middle = (a + c) / 2
        return _path("C", point(a, b), point(middle, b), point(middle, d), point(c, d))

    nodes = {SOURCE: what.source, TARGET: what.target, **dict(enumerate(what.neighbours))}
    largest = max((abs(n.contribution) for n in what.neighbours if n.contribution), default=0.0)
    spots = [_spot(index, nodes[index], point(*at), largest, form) for index, at in places.items()]
    lines = [
        Line(_bow(point(*places[a]), point(*places[b])), (a, b), "among", 0.0)
        for a, b in what.links
    ]
    for spot in spots:
        for end, side in ((SOURCE, "source"), (TARGET, "target")):
            if spot.index < 0:
                continue
            if spot.node.side in (side, "common"):
                kind, strength = spot.sign, spot.strength
            elif spot.node.probability is not None:
                kind, strength = "missing", spot.node.probability
            else:
                continue
            lines.append(Line(curve(spot.index, end), (spot.index, end), kind, min(1.0, strength)))
    if what.linked:
        (a, b), (c, d) = places[SOURCE], places[TARGET]
        over = 9 - half
        path = _path("C", point(a, b), point(a, over), point(c, over), point(c, d))
        lines.append(Line(path, (SOURCE, TARGET), "pair", 1.0))
    return Drawing(*((2 * half, along) if form.tall else (along, 2 * half)), spots, lines)


def _places(what: Neighbourhood, form: Form) -> tuple[float, dict[int, Point]]:
    """How long the picture is, and where every index stands: along it, and across its middle."""
    along, places = _MARGIN, {}
    for block in ("source", SOURCE, "common", TARGET, "target"):
        if isinstance(block, int):
            places[block] = (along + form.end / 2, 0.0)
            along += form.end
            continue
        members = [i for i, node in enumerate(what.neighbours) if node.side == block]
        lines = math.ceil(len(members) / form.across)
        for place, index in enumerate(members):
            line, before = divmod(place, math.ceil(len(members) / lines))
            of_line = min(math.ceil(len(members) / lines), len(members) - place + before)
            step = lines - 1 - line if block == "source" else line  # the largest beside the end
            across = (before - (of_line - 1) / 2) * form.cell[1]
            if lines > 1 and not form.tall:  # labels of two columns side by side
                across += form.cell[1] / 4 * (-1) ** line
            places[index] = (along + (step + 0.5) * form.cell[0], across)
        along += lines * form.cell[0]
    return along + _MARGIN, places


def _spot(index: int, node: Neighbour, at: Point, largest: float, form: Form) -> Spot:
    size = abs(node.contribution) / largest if node.contribution and largest else 0.0
    radius = _END if index < 0 else _SMALL + (_LARGE - _SMALL) * math.sqrt(size)
    label = Text(node.name)
    label.truncate(form.letters, overflow="ellipsis")
    return Spot(index, node, *at, radius, label.plain, size)


def _bow(one: Point, other: Point) -> str:
    """A curve that passes by the nodes between."""
    (a, b), (c, d) = one, other
    middle = ((a + c) / 2 + (d - b) * _BOW, (b + d) / 2 - (c - a) * _BOW)
    return _path("Q", one, middle, other)


def _path(kind: str, start: Point, *points: Point) -> str:
    rest = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f"M{start[0]:.1f},{start[1]:.1f} {kind}{rest}"
