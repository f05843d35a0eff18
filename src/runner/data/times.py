"""Times of links: a column of numbers or dates, as whole numbers in their exact order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    import pyarrow

UNIX_TIMES = (631_152_000, 2_208_988_800)  # 1990 to 2040
# Read by Python's `re` and by Arrow's RE2.
_CLOCK = (
    r"(?:[ T](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?P<fraction>\.\d{1,9})?)?)?"
    r"\s?(?P<zone>Z|[-+]\d{2}:?\d{2})?\s*$"
)
DATE = re.compile(rf"^\s*(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_CLOCK}")
# The month first, where no number in the place of a month exceeds 12.
_FEW = r"0?[1-9]|[12]\d|3[01]"
YEAR_LAST = re.compile(
    rf"^\s*(?P<day>{_FEW})[-/.](?P<month>{_FEW})[-/.](?P<year>(?:19|20)\d\d){_CLOCK}"
)
_NANO = 10**9
_EXACT = 2**53  # from here on a float no longer tells neighbouring whole numbers apart


class NoTime(ValueError):
    """A value that is no time, or has no exact place among the others.

    Attributes:
        row: its place in the column, from 0.
    """

    def __init__(self, row: int, value: Any) -> None:
        super().__init__(row, value)
        self.row, self.value = row, value


class OpenDate(NoTime):
    """A date that may have the day or the month first, as all others of its column."""


@dataclass(frozen=True, eq=False)
class Times:
    """Times of links.

    Attributes:
        values: (R,) int64.
        scale: how many of them are a second, or one of the numbers of the file.
        dates: seconds since 1970 in UTC; else numbers whose zero and unit are the user's.
    """

    values: Tensor
    scale: int = 1
    dates: bool = False

    def words(self, value: int) -> str:
        """One of the values as a person writes it."""
        whole, rest = divmod(value, self.scale)
        fraction = f"{rest / self.scale:.9f}".rstrip("0")[1:] if rest else ""
        if not self.dates:
            return f"{value / self.scale:.9f}".rstrip("0") if rest else str(whole)
        return str(np.datetime64(whole, "s")).replace("T", " ") + fraction


def read_times(column: pyarrow.Array | pyarrow.ChunkedArray) -> Times:
    """A column of dates, Unix times or other numbers.

    Dates are taken as UTC where they name no other zone. With the year last they have the day first
    where one of the first numbers exceeds 12, and the month first where one of the second ones
    does. Whole numbers stay as they are, numbers with fractions are counted in 10^-9.

    Raises:
        NoTime: with the first value that is none.
        OpenDate: if all days and months may be either.
    """
    import pyarrow

    if isinstance(column, pyarrow.ChunkedArray):
        column = column.combine_chunks()
    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        row = int(pyarrow.compute.index(column.is_null(), True).as_py())
        raise NoTime(row, "")
    kind = column.type
    if pyarrow.types.is_timestamp(kind):
        scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": _NANO}[kind.unit]
        return _simplest(column.cast(pyarrow.int64()).to_numpy(), scale, dates=True)
    if pyarrow.types.is_date(kind):
        return Times(_tensor(column.cast(pyarrow.timestamp("s")).cast(pyarrow.int64())), dates=True)
    if pyarrow.types.is_integer(kind):
        return _unix_or_not(_tensor(column.cast(pyarrow.int64())))
    if pyarrow.types.is_floating(kind):
        return _read_floats(column.cast(pyarrow.float64()).to_numpy())
    return _read_text(column.cast(pyarrow.string()))


def _read_text(text: pyarrow.StringArray) -> Times:
    import pyarrow.compute as compute

    for form in (DATE, YEAR_LAST):
        parts = compute.extract_regex(text, form.pattern)
        if parts.null_count == 0:
            return _read_dates(text, parts, year_last=form is YEAR_LAST)
        if parts.null_count < len(text):
            raise NoTime(*_first(text, parts.is_null()))
    plain = compute.replace_substring(compute.utf8_trim_whitespace(text), ",", ".")
    is_number = compute.match_substring_regex(plain, r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$")
    if not compute.all(is_number).as_py():
        raise NoTime(*_first(text, compute.invert(is_number)))
    plain = compute.replace_substring_regex(plain, r"^\+", "")
    try:
        return _unix_or_not(_tensor(plain.cast("int64")))
    except ValueError:  # pyarrow.ArrowInvalid: numbers with a fraction, or too long
        return _read_floats(plain.cast("float64").to_numpy())


def _read_dates(text: pyarrow.StringArray, parts: pyarrow.StructArray, *, year_last: bool) -> Times:
    import pyarrow.compute as compute

    def numbers(name: str) -> np.ndarray:
        given = compute.replace_substring(parts.field(name), ".", "")
        return compute.if_else(compute.equal(given, ""), "0", given).cast("int64").to_numpy()

    day, month = numbers("day"), numbers("month")
    if year_last and day.max() <= 12:
        if month.max() <= 12:
            raise OpenDate(0, text[0].as_py())
        day, month = month, day
    hour, minute, second = (numbers(n) for n in ("hour", "minute", "second"))
    months = (numbers("year") - 1970) * 12 + month - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    days += day - 1
    wrong = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) != months
    wrong |= (month < 1) | (month > 12) | (hour > 23) | (minute > 59) | (second > 59)
    zone = compute.replace_substring_regex(parts.field("zone"), "[Z:]", "")
    zone = compute.if_else(compute.equal(zone, ""), "0", compute.replace_substring(zone, "+", ""))
    east = zone.cast("int64").to_numpy()  # hours and minutes, as in 530
    east = np.sign(east) * (np.abs(east) // 100 * 60 + np.abs(east) % 100)
    seconds = ((days * 24 + hour) * 60 + minute - east) * 60 + second
    fraction = compute.utf8_rpad(parts.field("fraction"), 10, "0")  # of ".25", or of nothing
    nanos = compute.replace_substring(fraction, ".", "").cast("int64").to_numpy()
    if nanos.any():
        wrong |= np.abs(seconds) > 2**63 // _NANO - 1
    if wrong.any():
        raise NoTime(*_first(text, wrong))
    if nanos.any():
        return _simplest(seconds * _NANO + nanos, _NANO, dates=True)
    return Times(torch.from_numpy(seconds), dates=True)


def _read_floats(values: np.ndarray) -> Times:
    wrong = ~(np.abs(values) < _EXACT)
    if wrong.any():
        raise NoTime(*_first(values, wrong))
    if (values == np.floor(values)).all():
        return _unix_or_not(torch.from_numpy(values.astype(np.int64)))
    wrong = np.abs(values) > 2**63 // _NANO - 1
    whole = np.floor(values)
    nanos = np.where(wrong, 0, whole).astype(np.int64) * _NANO
    nanos += np.rint((values - whole) * _NANO).astype(np.int64)
    order = np.argsort(values, kind="stable")
    merged = (np.diff(nanos[order]) <= 0) & (np.diff(values[order]) > 0)
    wrong[order[1:][merged]] = True
    if wrong.any():
        raise NoTime(*_first(values, wrong))
    return _unix_or_not(torch.from_numpy(nanos), _NANO)


def _simplest(values: np.ndarray, scale: int, *, dates: bool) -> Times:
    if scale > 1 and not (values % scale).any():
        values, scale = values // scale, 1
    return Times(torch.from_numpy(values.copy()), scale, dates)


def _unix_or_not(values: Tensor, scale: int = 1) -> Times:
    low, high = (bound * scale for bound in UNIX_TIMES)
    return Times(values, scale, bool(((values >= low) & (values <= high)).all()))


def _tensor(column: pyarrow.Array) -> Tensor:
    return torch.from_numpy(column.to_numpy(zero_copy_only=False).copy())


def _first(values: Any, wrong: Any) -> tuple[int, Any]:
    row = int(np.flatnonzero(np.asarray(wrong))[0])
    value = values[row]
    return row, value if isinstance(value, np.generic) else value.as_py()
