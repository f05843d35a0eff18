"""Tables of links in Parquet and Arrow: read as the same table in text would be."""

from __future__ import annotations

import datetime
from pathlib import Path

import pandas
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from tests.runner.data.reading.test_edge_table import IDS, LINKS, NODES, expected, graph

from runner.data.edges import edge_file
from runner.data.reading.edge_table import read_edge_table
from runner.data.reading.raw_graph import TableKeys
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=1.0, test_negatives=1.0)
SOURCES, TARGETS = ([pair[end] for pair in LINKS] for end in (0, 1))


def write(file: Path, table: pyarrow.Table) -> Path:
    if file.suffix == ".feather":
        pyarrow.feather.write_feather(table, str(file))
    elif file.suffix == ".arrow":
        with pyarrow.ipc.new_stream(str(file), table.schema) as stream:
            stream.write_table(table)
    else:
        pyarrow.parquet.write_table(table, file)
    return file


def links(ids: list[str], kind: pyarrow.DataType | None = None, **more: object) -> pyarrow.Table:
    ends = {
        name: pyarrow.array([ids[n] for n in numbers]).cast(kind or pyarrow.string())
        for name, numbers in (("source", SOURCES), ("target", TARGETS))
    }
    return pyarrow.table({**ends, **more})


@pytest.mark.parametrize("name", ["g.parquet", "g.pq", "g.feather", "g.arrow", "parquet.csv"])
def test_a_file_is_known_by_its_first_bytes(tmp_path, name):
    ids = IDS["names"]
    found = graph(write(tmp_path / name, links(ids, weight=[0.5] * len(LINKS))))
    assert found[:2] == (NODES, expected(ids))
    assert "columns: source source, target target, weight weight" in found[2]


TYPES = {
    "int32": pyarrow.int32(), "uint64": pyarrow.uint64(), "float": pyarrow.float32(),
    "decimal": pyarrow.decimal128(20, 0), "text": pyarrow.string(),
    "large text": pyarrow.large_string(), "view": pyarrow.string_view(),
    "category": pyarrow.dictionary(pyarrow.int32(), pyarrow.large_string()),
}  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("ids", ["from 0", "with gaps", "large"])
def test_whole_numbers_of_any_type_are_ids_in_ascending_order(tmp_path, kind, ids):
    if ids == "large" and kind in ("int32", "float"):
        return
    file = write(tmp_path / "g.arrow", links(IDS[ids], TYPES[kind]))
    raw = read_edge_table(file, TableKeys())
    assert raw.ids is not None and raw.ids.tolist() == sorted(map(int, IDS[ids]))
    assert graph(file)[:2] == (NODES, expected(IDS[ids]))


@pytest.mark.parametrize("kind", ["text", "large text", "category"])
@pytest.mark.parametrize("ids", ["names", "leading zeros", "numbers and names"])
def test_names_are_numbered_by_their_first_appearance(tmp_path, kind, ids):
    file = write(tmp_path / "g.parquet", links(IDS[ids], TYPES[kind]))
    raw = read_edge_table(file, TableKeys())
    seen = dict.fromkeys(IDS[ids][n] for pair in LINKS for n in pair)
    assert raw.names is not None and list(raw.names) == list(seen)
    assert graph(file)[:2] == (NODES, expected(IDS[ids]))


def test_numbers_beyond_64_bits_are_names(tmp_path):
    ids = [str(2**63 + n) for n in range(NODES)]
    table = pyarrow.table(
        {"a": pyarrow.array([int(ids[u]) for u in SOURCES], pyarrow.uint64()),
         "b": pyarrow.array([int(ids[v]) for v in TARGETS], pyarrow.uint64())}
    )  # fmt: skip
    assert graph(write(tmp_path / "g.parquet", table))[:2] == (NODES, expected(ids))


@pytest.mark.parametrize("names", [("src", "dst"), ("Node1", "Node2"), ("0", "1")])
def test_names_of_columns(tmp_path, names):
    table = links(IDS["with gaps"], pyarrow.int64()).rename_columns(list(names))
    assert graph(write(tmp_path / "g.parquet", table))[1] == expected(IDS["with gaps"])


def test_columns_may_be_given(tmp_path):
    table = links(IDS["names"], kind_of_link=["x"] * len(LINKS), n=list(range(len(LINKS))))
    table = table.rename_columns(["q", "r", "k", "n"]).select(["k", "q", "n", "r"])
    file = write(tmp_path / "g.parquet", table)
    with pytest.raises(RunnerError, match=r"which of its columns .* k, q, n, r; say dataset\.col"):
        graph(file)
    for given in ({"source": "q", "target": "r"}, {"source": 1, "target": 3}):
        assert graph(file, columns=given)[1] == expected(IDS["names"])


@pytest.mark.parametrize("index", [None, "link", "source"])
def test_an_index_of_pandas_is_no_end_unless_it_has_a_name(tmp_path, index):
    frame = links(IDS["names"]).to_pandas()
    if index == "source":
        frame = frame.set_index("source")
    else:
        frame.index = pandas.Index([f"n{n}" for n in range(len(frame))])
    frame.to_parquet(tmp_path / "g.parquet")
    _, found, notes = graph(tmp_path / "g.parquet")
    assert found == expected(IDS["names"])
    assert ("left out the index that pandas wrote" in notes) == (index != "source")


@pytest.mark.parametrize("name", ["time", "when"])
@pytest.mark.parametrize("kind", ["date", "timestamp", "unix"])
def test_times(tmp_path, name, kind):
    day = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    times = pyarrow.array([day + datetime.timedelta(days=n) for n in range(len(LINKS))])
    if kind == "date":
        times = times.cast(pyarrow.date32())
    if kind == "unix":
        name, times = "ts", times.cast(pyarrow.timestamp("s")).cast(pyarrow.int64())
    raw = read_edge_table(
        write(tmp_path / "g.parquet", links(IDS["names"], **{name: times})), TableKeys()
    )
    assert raw.facts["columns"] == {"source": "source", "target": "target", "time": name}


def test_columns_without_names_are_told_by_what_they_hold(tmp_path):
    times = pyarrow.array([datetime.date(2020, 1, 1)] * len(LINKS))
    table = links(IDS["from 0"], pyarrow.int64(), w=[1.5] * len(LINKS), when=times)
    file = write(tmp_path / "g.parquet", table.rename_columns(["0", "1", "2", "3"]))
    raw = read_edge_table(file, TableKeys())
    assert raw.facts["columns"] == {"source": "0", "target": "1", "weight": "2", "time": "3"}


def test_two_kinds_of_ends_that_overlap(tmp_path):
    table = links(IDS["from 0"], pyarrow.int64()).rename_columns(["user", "item"])
    file = write(tmp_path / "g.parquet", table)
    with pytest.raises(RunnerError, match=r"user and item have \d+ values in common.*bipartite"):
        graph(file)
    assert graph(file, bipartite=False)[1] == expected(IDS["from 0"])


N = len(LINKS)
BAD = {
    "null": ({"source": [*SOURCES[:-1], None]}, rf"row {N} has no value in column source"),
    "NaN": (
        {"target": [1.0, float("nan"), *map(float, TARGETS[2:])]},
        "row 2 has no value in column target",
    ),
    "blank": ({"source": ["a", " ", *map(str, SOURCES[2:])]}, "row 2 has no value in column so"),
    "real": ({"source": [0.5] * N}, "column source holds values of type double"),
    "times": ({"source": [datetime.date(2020, 1, 1)] * N}, "holds values of type date32"),
    "lists": ({"target": [[1, 2]] * N}, "column target holds values of type list"),
    "truths": ({"target": [True] * N}, "column target holds values of type bool"),
    "missing": ({"source": [-1, *SOURCES[1:]]}, r"row 1 has -1 in column source, an end"),
}


@pytest.mark.parametrize("kind", BAD)
def test_ends_that_are_no_ids(tmp_path, kind):
    change, said = BAD[kind]
    table = pyarrow.table({"source": SOURCES, "target": TARGETS, **change})
    with pytest.raises(RunnerError, match=rf"dataset\.path=.*{said}") as error:
        graph(write(tmp_path / "g.parquet", table))
    assert "(line" not in str(error.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pyarrow.table({"source": pyarrow.array([], pyarrow.int64())}), "the file holds no edges"),
        (pyarrow.table({"source": [1, 2]}), "this one has fewer"),
        (pyarrow.table({str(n): [0, 1, 0, 1] for n in range(4)}), "are a matrix or links"),
    ],
)
def test_tables_that_are_no_links(tmp_path, table, said):
    with pytest.raises(RunnerError, match=rf"dataset\.path=.*{said}"):
        graph(write(tmp_path / "g.parquet", table))


@pytest.mark.parametrize(
    ("key", "value", "said"), [("separator", ";", ";"), ("header", False, "false"),
                               ("encoding", "utf-8", "utf-8")]
)  # fmt: skip
def test_keys_of_text_are_refused(tmp_path, key, value, said):
    file = write(tmp_path / "g.parquet", links(IDS["names"]))
    with pytest.raises(RunnerError, match=rf"dataset\.{key}={said}: .* is Parquet, no text; leave"):
        graph(file, **{key: value})


@pytest.mark.parametrize("name", ["g.parquet", "g.feather", "g.arrow"])
@pytest.mark.parametrize("left", [0, 3, 0.4, 0.7, 0.99])
def test_damaged_files_are_named(tmp_path, name, left):
    file = write(tmp_path / name, links(IDS["names"]))
    content = file.read_bytes()
    file.write_bytes(content[: left if isinstance(left, int) else int(left * len(content))])
    with pytest.raises(RunnerError, match=rf"dataset\.path=.*{name}: the file is damaged"):
        edge_file(path=str(file), features=None, split=SPLIT)


@pytest.mark.parametrize(("mark", "said"), [(b"FEA1", "Feather of version 1"), (b"PARE", "encr")])
def test_kinds_that_are_not_read(tmp_path, mark, said):
    (tmp_path / "g.feather").write_bytes(mark + bytes(99))
    with pytest.raises(RunnerError, match=said):
        edge_file(path=str(tmp_path / "g.feather"), features=None, split=SPLIT)


def test_bytes_that_are_no_text_are_named(tmp_path):
    file = write(tmp_path / "g.arrow", links(IDS["names"]))
    file.write_bytes(file.read_bytes().replace(b"n29n", b"n\xff9n"))
    with pytest.raises(RunnerError, match=r"dataset\.path=.*g\.arrow: the file is damaged"):
        edge_file(path=str(file), features=None, split=SPLIT)
