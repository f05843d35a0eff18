"""Graphs whose links are known by name, and what a file of one must be read as."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Truth:
    nodes: frozenset[str]
    links: frozenset[frozenset[str]]


@dataclass(frozen=True)
class OwnFile:
    """A file as a person may have it.

    Attributes:
        kind: of its shape, for the tally.
        truth: the graph that it holds; None where a refusal alone is right.
        certain: the conventions decide how it is read.
        keys: of `dataset`, that go with it.
    """

    kind: str
    name: str
    content: bytes
    truth: Truth | None
    certain: bool = True
    keys: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_decided(self) -> bool:
        """Whether a refusal is a fault."""
        return self.certain and self.truth is not None


@dataclass(frozen=True)
class OwnGraph:
    """A simple graph: the names of its nodes, its links, and the nodes without a link."""

    names: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    alone: tuple[int, ...]

    @property
    def numbered(self) -> OwnGraph:
        return replace(self, names=tuple(map(str, range(len(self.names)))))

    @property
    def truth(self) -> Truth:
        names = self.names
        links = frozenset(frozenset((names[u], names[v])) for u, v in self.links)
        return Truth(frozenset(names), links)

    def rows(self, rng: Random) -> Rows:
        """Links as a table has them: some both ways, twice, or in disorder; loops for `alone`."""
        pairs = [pair if rng.random() < 0.5 else pair[::-1] for pair in self.links]
        if rng.random() < 0.3:
            pairs = list(self.links)
        if rng.random() < 0.2:
            pairs = [*self.links, *(pair[::-1] for pair in self.links)]
        if rng.random() < 0.3:
            pairs += rng.choices(pairs, k=5)
        if rng.random() < 0.05:
            pairs *= 30  # more rows than a reader looks at first
        pairs += [(n, n) for n in self.alone]
        if rng.random() < 0.2:
            pairs.append((0, 0))
        pairs = sorted(pairs) if rng.random() < 0.4 else rng.sample(pairs, len(pairs))
        rows = [(self.names[u], self.names[v]) for u, v in pairs]
        return _without_a_first_row_of_0_and_1(rows)


def _without_a_first_row_of_0_and_1(rows: Rows) -> Rows:
    """By the conventions such a row is a header, where no row below has its numbers."""
    if rows[0] != ("0", "1") or any(u == "0" or v == "1" for u, v in rows[1:]):
        return rows
    return [*rows[1:], rows[0]]


def _words(rng: Random, count: int) -> list[str]:
    special = [
        "Node of us", 'the "one"', "Smith, J.", "Müller", "Zoë", "東京", "naïve", "O'Brien",
        "null", "NA", "true", "None", "nan", "a;b", "a|b", "x_1", "A", "a", "Ab", "aB",
        "semi;colon, comma", "C#", "50%", "http://a.org/b", "-", "3rd", "1/2", "Z\u0308", "i.e.",
        "e\u0301", "\u00e9", "#tag", "% share", "//path", "a\u00a0b", "inf", "(x)", "[y]", "*",
    ]  # fmt: skip
    plain = [f"n{n}" for n in range(count)]
    chosen = rng.sample(special, min(len(special), rng.randrange(count)))
    return [*chosen, *plain][:count]


# Each takes (rng, count) and gives as many names, that a person would write so.
IDS: dict[str, Callable[[Random, int], Sequence[str]]] = {
    "from 0": lambda rng, count: [str(n) for n in range(count)],
    "from 1": lambda rng, count: [str(n + 1) for n in range(count)],
    "gaps": lambda rng, count: [str(n) for n in sorted(rng.sample(range(5000), count))],
    "from 10": lambda rng, count: [str(n + 10) for n in range(count)],
    "big": lambda rng, count: [str(10**17 + 3 * n) for n in range(count)],
    "phone numbers": lambda rng, count: [str(1_305_550_100 + n) for n in range(count)],
    "beyond int64": lambda rng, count: [str(10**19 + 7 * n) for n in range(count)],
    "zeros in front": lambda rng, count: [f"{n:04d}" for n in range(count)],
    "letters": lambda rng, count: [f"n{n}" for n in range(count)],
    "words": _words,
    "numbers and names": lambda rng, count: [str(n) if n % 2 else f"x{n}" for n in range(count)],
    "exponents": lambda rng, count: [f"{n + 1}e{n % 4 + 2}" for n in range(count)],
    "hexadecimal": lambda rng, count: [f"{4099 * n:x}" for n in range(count)],
    "dates": lambda rng, count: [f"20{n:02d}-03-0{n % 9 + 1}" for n in range(count)],
    "versions": lambda rng, count: [f"{n // 11 + 1}.{n % 11}" for n in range(count)],
}
WHOLE = ("from 0", "from 1", "gaps", "from 10", "big")  # ids that are numbers to everyone
# Ids that look like something else: what they are is certain under a known header alone.
DOUBTFUL = ("phone numbers", "exponents", "hexadecimal", "dates", "beyond int64", "zeros in front")
NEVER_CERTAIN = ("versions",)


def own_graph(rng: Random, ids: str) -> OwnGraph:
    """A connected graph of some 20 nodes, and up to three nodes without a link."""
    linked, alone = rng.randint(14, 28), rng.choice((0, 0, 1, 3))
    links = {(rng.randrange(v), v) for v in range(1, linked)}
    while len(links) < 2 * linked:
        u, v = sorted(rng.sample(range(linked), 2))
        links.add((u, v))
    count = linked + alone
    places = rng.sample(range(count), count)  # a node without a link may be any
    moved = sorted(tuple(sorted((places[u], places[v]))) for u, v in links)
    lonely = tuple(sorted(places[linked:]))
    return OwnGraph(tuple(IDS[ids](rng, count)), tuple((u, v) for u, v in moved), lonely)
