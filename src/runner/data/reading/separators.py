"""Separators of fields: what each makes of the lines of a text, and which one is meant."""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from runner.data.reading import column_names

csv.field_size_limit(sys.maxsize)  # a line is one field by a separator that it has not
BLANKS, UNIT = " ", "\x1f"
# In the order of preference where several fit every line.
SEPARATORS = ("\t", "::", "->", ";", "|", ",", BLANKS)
WORDS = {
    "\t": "tab", BLANKS: "blanks", "\\t": "tab", "tab": "\t", "space": BLANKS,
    "blank": BLANKS, "blanks": BLANKS, "comma": ",", "semicolon": ";", "pipe": "|",
}  # fmt: skip
_MOST_TITLES = 5
_NEARLY_ALL = 0.9  # of the lines
INTEGER = re.compile(r"\s*[-+]?\d+\s*$")
NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*$")


def split_line(line: str, separator: str) -> list[str]:
    if separator == BLANKS:
        line = re.sub(r"[ \t]+", " ", line.strip()) if '"' not in line else line.strip()
        line = line.replace("\t", " ")
    elif len(separator) > 1:
        line, separator = line.replace(separator, UNIT), UNIT
    found = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    return [cell.strip() for cell in found]


@dataclass(frozen=True)
class Cut:
    """What a separator makes of lines.

    Attributes:
        width: the number of fields that most rows have.
        titles: rows above the first one of this width.
        agree: rows of this width.
    """

    separator: str
    rows: list[list[str]]
    width: int
    titles: int
    agree: int

    @property
    def fits(self) -> bool:
        is_all = self.agree == len(self.rows) - self.titles and self.titles <= _MOST_TITLES
        return self.width > 1 and is_all

    @property
    def names_ends(self) -> bool:
        return column_names.ends(self.rows[self.titles]) is not None

    @property
    def keeps_quotes(self) -> bool:
        """Whether no field has one quote of a pair, as where a separator stands in quotes."""
        return not any(cell.count('"') % 2 for row in self.rows for cell in row)

    def holds(self, mark: str) -> bool:
        """Whether fields have this separator in them, and are no decimals, dates or times."""
        return any(
            mark in cell and re.search(r"[^\W\d_]", cell.replace(mark, ""))
            for row in self.rows for cell in row
        )  # fmt: skip


def cut(lines: Sequence[str], separator: str) -> Cut:
    rows = [split_line(line, separator) for line in lines]
    width, agree = max(Counter(map(len, rows)).items(), key=lambda item: (item[1], item[0]))
    titles = next(n for n, row in enumerate(rows) if len(row) == width)
    return Cut(separator, rows, width, titles, agree)


def best_of(cuts: Sequence[Cut]) -> Cut | None:
    """The one that gives the most lines as many fields, and of several the first."""
    several = [cut for cut in cuts if cut.width > 1]
    best = max(several, key=lambda cut: (cut.agree, cut.keeps_quotes), default=None)
    return best if best is not None and best.fits else None


def objection(best: Cut, cuts: Sequence[Cut]) -> str | None:
    """Why the best one is not certain: names hold another one, or a row of another is damaged."""
    for cut in cuts:
        one, other = (WORDS.get(c.separator, c.separator) for c in (best, cut))
        if cut is best or cut.width < 2:
            continue
        is_nearly_all = not cut.fits and cut.agree >= _NEARLY_ALL * len(cut.rows)
        if best.separator == BLANKS and is_nearly_all:
            row = next(row for row in cut.rows if len(row) != cut.width)
            return (
                f"{cut.separator.join(row)!r} has {len(row)} fields by {other}, most lines have "
                f"{cut.width}; mend the row, or say dataset.separator=…"
            )
        if cut.separator == BLANKS and best.separator not in ("::", "->", "|"):
            continue
        is_as_good = cut.fits and not cut.titles and cut.width <= best.width
        if is_as_good and best.holds(cut.separator) and best.names_ends <= cut.names_ends:
            return (
                f"both {one} and {other} cut each of its lines alike; say dataset.separator=…, or "
                "put quotes around names that hold one"
            )
    return None
