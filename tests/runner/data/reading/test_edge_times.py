"""Times in a table of links: found, named by a key, and refused once a split asks for them."""

import random

import pytest

from runner.data.edges import edge_file
from runner.data.reading.edge_table import read_edge_table
from runner.data.reading.raw_graph import TableKeys
from runner.data.splits import RandomSplit
from runner.data.time_split import TimeSplit
from runner.errors import RunnerError

RANDOM = random.Random(5)
ROWS = [(RANDOM.randrange(30), RANDOM.randrange(30)) for _ in range(120)]  # with self-loops
BY_TIME = TimeSplit(
    valid=None, test=None, valid_from=None, test_from=None, repeated="drop", seed=0,
    valid_negatives=1.0, test_negatives=1.0,
)  # fmt: skip
AT_RANDOM = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=1.0, test_negatives=1.0)


def write(tmp_path, lines):
    (tmp_path / "graph.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "graph.csv"


def day(n: int) -> str:
    return f"2019-{n // 28 + 1:02d}-{n % 28 + 1:02d}"


@pytest.mark.parametrize("ids", ["{}", "{}0", "n{}"])
@pytest.mark.parametrize(
    ("time", "words"),
    [
        (lambda n: 1_546_300_800 + 86_400 * (n % 100), lambda n: f"{day_of(n)} 00:00:00"),
        (lambda n: day(n % 100), lambda n: f"{day(n % 100)} 00:00:00"),
        (lambda n: f"{day(n % 100)} 10:30", lambda n: f"{day(n % 100)} 10:30:00"),
    ],
)
def test_rows_keep_their_times_in_the_order_of_the_file(tmp_path, ids, time, words):
    lines = [f"{ids.format(u)},{ids.format(v)},{time(n)}" for n, (u, v) in enumerate(ROWS)]
    raw = read_edge_table(write(tmp_path, lines), TableKeys())
    assert [raw.times.words(value) for value in raw.times.values.tolist()] == [
        words(n) for n in range(len(ROWS))
    ]


@pytest.mark.parametrize("names", [[], ["source,target,when"], ["source,target,date"]])
@pytest.mark.parametrize("form", ["{2}.{1}.{0}", "{2}/{1}/{0} 10:30"])
def test_dates_with_the_day_first(tmp_path, form, names):
    days = [form.format(*day(n % 100).split("-")) for n in range(len(ROWS))]
    rows = [f"{u},{v},{date}" for (u, v), date in zip(ROWS, days, strict=True)]
    keys = TableKeys({"time": "when"} if "when" in "".join(names) else {})
    raw = read_edge_table(write(tmp_path, [*names, *rows]), keys)
    clock = "10:30:00" if " " in form else "00:00:00"
    assert [raw.times.words(value) for value in raw.times.values.tolist()] == [
        f"{day(n % 100)} {clock}" for n in range(len(ROWS))
    ]
    assert f"{days[0]} is read as 2019-01-01 {clock}" in raw.notes
    early = [row for row, date in zip(rows, days, strict=True) if int(date[:2]) <= 12]
    file = write(tmp_path, [*names, *early])
    name = names[0].split(",")[2] if names else "number 2"
    with pytest.raises(RunnerError, match=rf"times, {name}, may have the day or .*YYYY-MM-DD"):
        edge_file(path=str(file), features=None, columns=keys.columns, split=BY_TIME)


def day_of(n: int) -> str:
    lengths, n = (31, 28, 31, 30), n % 100
    for month, length in enumerate(lengths, start=1):
        if n < length:
            return f"2019-{month:02d}-{n + 1:02d}"
        n -= length
    raise AssertionError


def test_a_key_names_the_column(tmp_path):
    file = write(
        tmp_path, ["source,target,year", *(f"{u},{v},{n % 7}" for n, (u, v) in enumerate(ROWS))]
    )
    keys = {"source": None, "target": None, "weight": None, "time": "year"}
    raw = read_edge_table(file, TableKeys(keys))
    assert raw.times.values.tolist() == [n % 7 for n in range(len(ROWS))]
    assert not raw.times.dates
    data = edge_file(path=str(file), features=None, columns=keys, split=BY_TIME)
    assert "validation from 5, test from 6;" in " ".join(data.notes)


def test_without_a_column_of_times_the_key_is_named(tmp_path):
    file = write(tmp_path, [f"{u},{v}" for u, v in ROWS])
    with pytest.raises(RunnerError, match=r"^protocol=time: .*dataset\.columns\.time="):
        edge_file(path=str(file), features=None, split=BY_TIME)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", r"row 4 \(line 6\) has no value, in the column of times, date"),
        ("in May", r"row 4 \(line 6\) has 'in May', which is no exact time"),
        ("2019-02-30", r"row 4 \(line 6\) has '2019-02-30', which is no exact time"),
    ],
)
def test_a_time_that_cannot_be_read_is_refused_where_times_are_used(tmp_path, bad, said):
    dates = [day(n % 100) for n in range(len(ROWS))]
    dates[3] = bad
    rows = [f"{u},{v},{date}" for (u, v), date in zip(ROWS, dates, strict=True)]
    file = write(tmp_path, ["source,target,date", "# made by hand", *rows])
    with pytest.raises(
        RunnerError, match=f"^protocol=time: dataset.path={file}: {said}.*columns.time="
    ):
        edge_file(path=str(file), features=None, split=BY_TIME)
    assert edge_file(path=str(file), features=None, split=AT_RANDOM).num_nodes == 30
    named = {"source": None, "target": None, "weight": None, "time": "date"}
    with pytest.raises(RunnerError, match=f"^dataset.path={file}: {said}"):
        edge_file(path=str(file), features=None, columns=named, split=AT_RANDOM)
