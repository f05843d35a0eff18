"""Names of columns, as people write them: the ends of links, weights, times, row numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Pairs of ends, without case, blanks and marks, and without a kind at the end of both ("sourceid").
_ENDS = (
    ("source", "target"), ("src", "dst"), ("src", "dest"), ("source", "destination"),
    ("src", "tgt"), ("src", "target"), ("from", "to"), ("u", "v"), ("i", "j"), ("head", "tail"),
    ("start", "end"), ("origin", "destination"), ("sender", "receiver"), ("sender", "recipient"),
    ("citing", "cited"), ("follower", "followee"), ("parent", "child"), ("subject", "object"),
    ("left", "right"), ("ego", "alter"), ("x", "y"), ("a", "b"), ("s", "t"),
)  # fmt: skip
_KINDS = ("id", "node", "name", "vertex", "label", "index", "idx")
_LABELS = {"label", "labels", "edgelabel", "linklabel", "islink", "exists", "sign", "class"}
_TWO_KINDS = {
    "user", "item", "product", "customer", "author", "paper", "actor", "movie", "film", "reader",
    "book", "drug", "gene", "disease", "protein", "student", "course", "person", "group", "member",
    "buyer", "seller", "investor", "company", "artist", "song", "track", "playlist", "event",
}  # fmt: skip
_NUMBERED = re.compile(r"(.*?[a-z])(1|2|a|b)$")  # 11 and 12 are nodes
_WEIGHT = {"weight", "weights", "w", "strength", "value", "count", "score", "rating", "freq",
           "frequency", "capacity"}  # fmt: skip
_TIME = {"time", "timestamp", "date", "datetime", "ts", "t", "unixts", "unixtime", "createdat"}
_ROW_NUMBER = {"", "id", "index", "idx", "row", "rownumber", "edgeid", "linkid", "no", "nr"}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _without_kind(name: str) -> str:
    for kind in _KINDS:
        for rest in (name.removesuffix(kind), name.removeprefix(kind)):
            if rest and rest != name:
                return _without_kind(rest)
    return name


def ends(names: Sequence[str]) -> tuple[int, int] | None:
    """The numbers of the source's and the target's column; None where no two names say so."""
    plain = [_plain(name) for name in names]
    for forms in (plain, [_without_kind(name) for name in plain]):
        for source, target in _ENDS:
            if forms.count(source) == forms.count(target) == 1:
                return forms.index(source), forms.index(target)
    found: dict[str, dict[str, int]] = {}
    for number, name in enumerate(plain):
        match = _NUMBERED.match(name)
        if match and match[1]:
            found.setdefault(match[1], {})[match[2]] = number
    pairs = [
        (by[one], by[two]) for by in found.values() for one, two in (("1", "2"), ("a", "b"))
        if one in by and two in by
    ]  # fmt: skip
    return pairs[0] if len(pairs) == 1 else None


def is_label(name: str) -> bool:
    """Whether a name says that its column tells links from pairs that are none."""
    return _plain(name) in _LABELS


def are_two_kinds(names: Sequence[str]) -> bool:
    """Whether two names are words for kinds of nodes, as user and item."""
    kinds = {_without_kind(_plain(name)) for name in names}
    return len(names) == len(kinds) == 2 and kinds <= _TWO_KINDS


def may_be_nodes(name: str) -> bool:
    """Whether a name of an end is as often one of a node: a letter, or a word with a number."""
    plain = _without_kind(_plain(name))
    return len(plain) == 1 or not any(plain in pair for pair in _ENDS)


def others(names: Sequence[str]) -> dict[str, int | None]:
    """The numbers of the weight's and the time's column, where one name says so."""
    plain = [_plain(name) for name in names]
    found: dict[str, int | None] = {}
    for what, known in (("weight", _WEIGHT), ("time", _TIME)):
        places = [number for number, name in enumerate(plain) if name in known]
        found[what] = places[0] if len(places) == 1 else None
    return found


def is_row_number(name: str) -> bool:
    return _plain(name) in _ROW_NUMBER


def is_node_id(name: str) -> bool:
    plain = _plain(name)
    return plain in ("id", "node", "name", "nodeid", "vertex", "nodename", "label", "index", "user")


def is_id(name: str) -> bool:
    """Whether a name says that its column has ids of nodes, and nothing else."""
    return _plain(name) in ("id", "node", "nodeid", "vertex", "vertexid")


def are_alike(first: str, second: str) -> bool:
    """Whether two names differ in a number or letter at the end alone, as person1, person2."""
    a, b = _plain(first), _plain(second)
    return a == b or (len(a) == len(b) and a[:-1] == b[:-1])
