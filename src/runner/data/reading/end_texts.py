"""The two columns of ends as text, with each different text once, however many rows have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow
import pyarrow.compute
import torch

from runner.data.reading.distinct_texts import distinct_texts

_WHOLE = r"^(0|-?[1-9]\d{0,17})$"
_SCIENTIFIC = r"^[-+]?\d\.\d+[eE][-+]\d{2,3}$"  # 1e2 may be a name
_EXACT = 2**53  # from here on a float no longer tells neighbouring whole numbers apart


@dataclass(frozen=True, eq=False)
class EndTexts:
    """The texts of sources and targets.

    Shapes:
        - ``values``: (K,) strings, without blanks around them, in the order of their first
          appearance, row by row, source before target
        - ``codes``: (2, R) int64, places in ``values``
    """

    values: pyarrow.Array
    codes: np.ndarray

    @classmethod
    def of(cls, columns: Sequence[pyarrow.ChunkedArray]) -> EndTexts:
        """The texts of two columns, (R,) strings, none of them empty."""
        values, codes = distinct_texts(columns)
        trimmed = pyarrow.compute.utf8_trim_whitespace(values)
        if not trimmed.equals(values):  # texts that differ in blanks alone are one
            known = trimmed.dictionary_encode()
            values, codes = known.dictionary, known.indices.to_numpy().astype(np.int64)[codes]
        return cls(values, codes)

    def __len__(self) -> int:
        return self.codes.shape[1]

    @cached_property
    def _counts(self) -> list[np.ndarray]:
        kinds = len(self.values)
        return [torch.from_numpy(end).bincount(minlength=kinds).numpy() for end in self.codes]

    def counts(self, end: int) -> np.ndarray:
        """How many rows of one end have each of the values, (K,)."""
        return self._counts[end]

    def places(self, end: int) -> np.ndarray:
        """The places in `values` of the texts of one end, ascending."""
        return np.flatnonzero(self.counts(end))

    def matches(self, pattern: str) -> np.ndarray:
        """Whether each of the values matches, (K,) bool."""
        found = pyarrow.compute.match_substring_regex(self.values, pattern)
        return found.to_numpy(zero_copy_only=False)

    def first_row(self, end: int, wrong: np.ndarray) -> int:
        """The first row whose value is marked in `wrong`, (K,) bool; -1 for none."""
        rows = wrong[self.codes[end]]
        row = int(rows.argmax())
        return row if len(rows) and rows[row] else -1

    def text(self, end: int, row: int) -> str:
        return self.values[int(self.codes[end, row])].as_py()

    def twins(self) -> list[str]:
        """A note where names may be one, written in several ways; none where there are none."""
        plain = pyarrow.compute.utf8_lower(pyarrow.compute.utf8_normalize(self.values, "NFKC"))
        is_one_way = len(pyarrow.compute.unique(plain)) == len(plain)
        if is_one_way and not self.matches(r"^[-+]?[\d.]+(e[-+]?\d+)?$").any():
            return []
        as_numbers = [_as_number(name) for name in plain.to_pylist()]
        seen: dict[str, int] = {}
        for place, name in enumerate(as_numbers):
            first = seen.setdefault(name, place)
            if first != place:
                count = len(as_numbers) - len(set(as_numbers))
                pair = f"{self.values[first].as_py()!r} and {self.values[place].as_py()!r}"
                return [f"{count} names differ from others in their writing alone, as {pair}"]
        return []

    def without_exponents(self) -> EndTexts:
        """With the digits of whole numbers in the place of `1.000e+00`, as NumPy writes them."""
        is_one = self.matches(_SCIENTIFIC)
        numbers = np.zeros(len(is_one))
        numbers[is_one] = self.values.filter(pyarrow.array(is_one)).cast(pyarrow.float64())
        is_one &= (numbers == np.floor(numbers)) & (np.abs(numbers) < _EXACT)
        digits = pyarrow.array(numbers.astype(np.int64)).cast(pyarrow.string())
        return replace(self, values=pyarrow.compute.if_else(is_one, digits, self.values))

    def as_whole(self) -> np.ndarray | None:
        """The ends, (2, R) int64, if each is a whole number in its one way of writing it."""
        plain = pyarrow.compute.replace_substring_regex(self.values, r"^([-+]?\d+)\.0*$", r"\1")
        if not pyarrow.compute.all(pyarrow.compute.match_substring_regex(plain, _WHOLE)).as_py():
            return None
        return plain.cast(pyarrow.int64()).to_numpy()[self.codes]


def _as_number(name: str) -> str:
    try:
        return repr(float(name)) if name[-1:].isdigit() and "_" not in name else name
    except ValueError:
        return name
