"""Columns of times against Python's own datetime and Fraction."""

import random
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pyarrow
import pytest

from runner.data.times import NoTime, OpenDate, Times, read_times

RANDOM = random.Random(3)
MOMENTS = [
    datetime(1700, 1, 1, tzinfo=UTC) + timedelta(seconds=RANDOM.randrange(10**10))
    for _ in range(300)
]


def read(values, kind=None) -> Times:
    return read_times(pyarrow.chunked_array([values[:2], values[2:]], kind))


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d %H:%M:%S", "%Y/%m/%dT%H:%M:%SZ", "%Y.%m.%d %H:%M:%S", " %Y-%m-%dT%H:%M:%S+00:00 "],
)
def test_dates_are_seconds_of_utc(form):
    times = read([moment.strftime(form) for moment in MOMENTS])
    assert times.dates and times.scale == 1
    assert times.values.tolist() == [int(moment.timestamp()) for moment in MOMENTS]
    assert times.words(int(times.values[0])) == MOMENTS[0].strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    "form",
    ["%d/%m/%Y %H:%M:%S", "%d.%m.%YT%H:%M:%SZ", " %d-%m-%Y %H:%M:%S ", "%m/%d/%Y %H:%M:%S"],
)
def test_the_day_or_the_month_first(form):
    moments = [moment.replace(year=1950 + n % 120) for n, moment in enumerate(MOMENTS)
               if (moment.month, moment.day) != (2, 29)]  # fmt: skip
    times = read([moment.strftime(form) for moment in moments])
    assert times.values.tolist() == [int(moment.timestamp()) for moment in moments]


def test_days_that_may_be_months():
    for values in (["01/05/2004", "12/12/2004 10:00", "3/7/2004"], ["1.5.2004", "2.5.2004"]):
        with pytest.raises(OpenDate):
            read(values)


def test_zones_are_heeded():
    zones = [timezone(timedelta(minutes=m)) for m in (-210, -60, 0, 60, 330)]
    moments = [m.astimezone(RANDOM.choice(zones)) for m in MOMENTS]
    times = read([moment.isoformat() for moment in moments])
    assert times.values.tolist() == [int(moment.timestamp()) for moment in MOMENTS]


def test_days_without_a_time():
    times = read(["2004-2-29", "2004/12/1", "1969-12-31", "2004-02-29 06:30"])
    days = [datetime(2004, 2, 29), datetime(2004, 12, 1), datetime(1969, 12, 31)]
    expected = [int(day.replace(tzinfo=UTC).timestamp()) for day in days]
    assert times.values.tolist() == [*expected, expected[0] + 6 * 3600 + 30 * 60]
    assert times.words(expected[0]) == "2004-02-29 00:00:00"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_arrow_timestamps_lose_nothing(unit):
    micro = {"s": 10**6, "ms": 10**3}.get(unit, 1)
    start = datetime(2001, 9, 9, tzinfo=UTC)
    moments = [start + timedelta(microseconds=micro * RANDOM.randrange(10**7)) for _ in range(50)]
    times = read(moments, pyarrow.timestamp(unit, "UTC"))
    exact = [Fraction(int(value), times.scale) for value in times.values]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert exact == [Fraction((m - epoch) // timedelta(microseconds=1), 10**6) for m in moments]
    assert times.dates


def test_arrow_dates():
    times = read([moment.date() for moment in MOMENTS], pyarrow.date32())
    assert times.words(int(times.values[0])) == f"{MOMENTS[0].date()} 00:00:00"


@pytest.mark.parametrize(
    ("values", "expected", "dates"),
    [
        ([1082040961, 1082155839, 1082040961], [1082040961, 1082155839, 1082040961], True),
        (
            ["1082040961", " 1082155839 ", "1082040961.0"],
            [1082040961, 1082155839, 1082040961],
            True,
        ),
        ([1082040961.0, 1082155839.0, 1.1e9], [1082040961, 1082155839, 1_100_000_000], True),
        ([1987, 2004, 1987], [1987, 2004, 1987], False),
        ([-3, 0, 2**62], [-3, 0, 2**62], False),
        (["+5", "-2", "0"], [5, -2, 0], False),
        ([20040131, 20040201, 0], [20040131, 20040201, 0], False),
    ],
)
def test_whole_numbers_stay_as_they_are(values, expected, dates):
    times = read(values)
    assert times.values.tolist() == expected
    assert (times.scale, times.dates) == (1, dates)


@pytest.mark.parametrize("decimal", [".", ","])
def test_fractions_keep_their_order(decimal):
    numbers = [Fraction(RANDOM.randrange(-(10**9), 10**9), 1000) for _ in range(200)]
    times = read([f"{float(number):.3f}".replace(".", decimal) for number in numbers])
    assert [round(Fraction(int(v), times.scale) * 1000) for v in times.values] == [
        number * 1000 for number in numbers
    ]
    assert times.words(-1_250_000_000) == "-1.25" and times.words(2 * 10**9) == "2"


def test_fractions_of_seconds():
    times = read(["2004-05-01 00:00:01.25", "2004-05-01 00:00:01.5", "2004-05-01"])
    first, second, day = times.values.tolist()
    assert second - first == 250_000_000 and first - day == 1_250_000_000
    assert times.words(first) == "2004-05-01 00:00:01.25"
    unix = read([1082040961.5, 1082040961.25, 1082040962.0])
    assert unix.dates and unix.values.argsort().tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("values", "row"),
    [
        ([5, 6, None, 7], 2),
        (["2004-05-01", "2004-05-02", "", "x"], 2),
        (["2004-05-01", "2004-02-30", "2004-05-02"], 1),
        (["2004-05-01", "2004-13-01", "2004-05-02"], 1),
        (["2004-05-01", "2004-05-01", "2004-05-01 24:00"], 2),
        (["2004-05-01", "2004", "2004-05-02"], 1),
        (["01/05/2004", "02/05/2004", "03/05/2004"], 0),
        (["31/12/2004", "01/05/2004", "12/31/2004"], 2),
        (["31/12/2004", "01/05/2004", "31/04/2004"], 2),
        (["31/12/2004", "2004-12-31", "31/04/2004"], 0),
        (["5", "six", "7"], 1),
        ([0.5, 1.5, float("nan")], 2),
        ([0.5, float("inf"), 1.5], 1),
        ([0.5, 1e10, 1.5], 1),
        ([1.0, 2.0, 2.0**53], 2),
        ([0.5, 0.5 + 1e-12, 0.75], 1),
        (["1", "2", str(10**19)], 2),
        (["1700-01-01 00:00:00.5", "2004-05-01", "1600-01-01"], 2),
    ],
)
def test_what_has_no_exact_place_is_named_by_its_row(values, row):
    with pytest.raises(NoTime) as error:
        read(values)
    assert error.value.row == row
