"""Tables of pairs, from file to file, with a run that scores by a formula."""

from __future__ import annotations

import csv
import gzip
from types import SimpleNamespace

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from runner.errors import RunnerError
from runner.prediction import pair_tables, table_writer
from runner.prediction.node_labels import NodeLabels
from runner.prediction.pair_tables import opened
from runner.prediction.scored_pairs import score_table

NAMES = tuple(f"n{number}" for number in range(30))


def numbers_of(pairs):
    scores = (pairs[0] * 100 + pairs[1]).double().numpy()
    return scores, np.full_like(scores, np.nan), (pairs[0] < pairs[1]).numpy()


RUN = SimpleNamespace(nodes=NodeLabels(NAMES, 30), score_numbers=numbers_of)


def score(path, output, ends=None):
    with opened(path, RUN.nodes, ends=ends) as pairs:
        outcome = score_table(RUN, pairs, output)
    return outcome


def rows(path, separator=","):
    with open(path, newline="") as stream:
        return list(csv.reader(stream, delimiter=separator))


def test_every_row_keeps_its_place_and_its_cells(tmp_path):
    file, output = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text(
        'note,source,target\n"a, b",n1,n2\n007,n1,who\n,n3,n3\nx,n4\n\nx,,n2\n'
        'y,n5,n4,z,"q"\nlast,n2,n1\n'
    )
    outcome = score(file, output)
    assert rows(output) == [
        ["note", "source", "target", "score", "probability", "known", "reason"],
        ["a, b", "n1", "n2", "102.0", "", "true", ""],
        ["007", "n1", "who", "", "", "", "no node is called who"],
        ["", "n3", "n3", "", "", "", "a node with itself"],
        ["x", "n4", "", "", "", "", "2 cells where the table has 3 columns"],
        ["x", "", "n2", "", "", "", "an end is empty"],
        ["y", "n5", "n4,z,q", "", "", "", "5 cells where the table has 3 columns"],
        ["last", "n2", "n1", "201.0", "", "false", ""],
    ]
    assert (outcome.scored, outcome.unscored) == (2, 5)
    assert outcome.first == "row 2: no node is called who"


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("n1,n2\nn3,n4\n", None),
        ("from;to\nn1;n2\nn3;n4\n", None),
        ("p\tq\nn1\tn2\nn3\tn4\n", None),
        ("# comment\nn1 n2\nn3   n4\n", None),
        ("k,p,q\n0,n1,n2\n0,n3,n4\n", ("p", "q")),
        ("k,p,q\n0,n1,n2\n0,n3,n4\n", ("1", "2")),
        ("0,n1,n2\n0,n3,n4\n", ("1", "2")),
        ("q,p\nn2,n1\nn4,n3\n", ("p", "q")),
        ("\ufeffSource,Target\r\nn1,n2\r\nn3,n4", None),
        ("n1::n2\nn3::n4\n", None),
    ],
)
def test_tables_as_people_have_them(tmp_path, text, ends):
    file, output = tmp_path / "in.txt", tmp_path / "out.csv"
    file.write_text(text, encoding="utf-8", newline="")
    assert score(file, output, ends).unscored == 0
    assert [row[-4] for row in rows(output)[1:]] == ["102.0", "304.0"]


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet"])
def test_packed_text_and_parquet(tmp_path, suffix):
    file, output = tmp_path / f"in{suffix}", tmp_path / "out.parquet"
    frame = pandas.DataFrame({"u": ["n1", "n3"], "weight": [2.5, 1.0], "v": ["n2", None]})
    if suffix == ".parquet":
        frame.to_parquet(file)
    else:
        file.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    assert score(file, output).unscored == 1
    found = pyarrow.parquet.read_table(output).to_pylist()
    assert [row["score"] for row in found] == [102.0, None]
    assert [row["reason"] for row in found] == [None, "an end is empty"]
    assert float(found[0]["weight"]) == 2.5


def test_blocks_change_nothing(tmp_path, monkeypatch):
    file = tmp_path / "in.csv"
    pairs = [(a, b) for a in NAMES for b in ("n7", "?", "n9")]
    file.write_text("source,target\n" + "".join(f"{a},{b}\n" for a, b in pairs))
    score(file, tmp_path / "once.csv")
    monkeypatch.setattr(pair_tables, "BLOCK", 7)
    outcome = score(file, tmp_path / "blocks.csv")
    assert (tmp_path / "once.csv").read_text() == (tmp_path / "blocks.csv").read_text()
    assert outcome.scored + outcome.unscored == len(pairs)


@pytest.mark.parametrize(
    ("text", "ends", "message"),
    [
        ("", None, "it has no rows"),
        ("n1\nn2\n", None, "which mark separates"),
        ("p,q,r\n1,2,3\n", None, "which of its columns p, q, r are the two ends"),
        ("a,b\n1,2\n", ("a", "z"), "has no column z; it has a, b"),
        ("a,b\n1,2\n", ("a", "0"), "one column twice"),
        ("source,target,score\nn1,n2,3\n", None, "score: the table has this column already"),
    ],
)
def test_unclear_tables_are_refused_and_leave_nothing(tmp_path, text, ends, message):
    file = tmp_path / "in.csv"
    file.write_text(text)
    with pytest.raises(RunnerError, match=message):
        score(file, tmp_path / "out.csv", ends)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["in.csv"]


def test_a_first_row_of_two_nodes_is_a_pair(tmp_path):
    file = tmp_path / "in.csv"
    file.write_text("u,v\nu,w\n")
    labels = NodeLabels(("u", "v", "w"), 3)
    for ends, count in ((None, 2), (("0", "1"), 2), (("u", "v"), 1)):
        with opened(file, labels, ends=ends) as pairs:
            assert next(pairs.blocks).table.num_rows == count


@pytest.mark.parametrize(
    ("names", "text"),
    [(NAMES, "n1,n99\nn2,n3\n"), (None, "77,99\n2,3\n")],
    ids=["a misspelt name", "unknown numbers"],
)
def test_a_mistake_in_the_first_row_is_no_header(tmp_path, names, text):
    file = tmp_path / "in.csv"
    file.write_text(text)
    with opened(file, NodeLabels(names, 30)) as pairs:
        assert next(pairs.blocks).table.num_rows == 2


def test_a_column_of_lists_is_refused(tmp_path):
    file = tmp_path / "in.parquet"
    pandas.DataFrame({"source": [["n1"]], "target": ["n2"]}).to_parquet(file)
    with pytest.raises(RunnerError, match="it cannot be read"):
        score(file, tmp_path / "out.csv")


def test_what_is_taken_is_told(tmp_path, caplog):
    file = tmp_path / "in.csv"
    file.write_text("# by hand\n#n1,n2\nitem_id,user_id\nn1,n2\n")
    assert score(file, tmp_path / "out.csv").scored == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{file}: left out 2 lines of comments before the rows, the first is # by hand",
        f"{file}: its first row, item_id and user_id, is taken for the names of its columns, "
        "since neither is a node",
        f"{file}: its columns are taken as source item_id, target user_id",
    ]
    caplog.clear()
    file.write_text("target,source\nn1,n2\n")
    score(file, tmp_path / "out.csv")
    assert not caplog.records


def test_an_interrupt_leaves_nothing(tmp_path):
    file, output = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text("n1,n2\n")
    output.write_text("before")

    def interrupt(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), opened(file, RUN.nodes) as pairs:
        score_table(RUN, pairs, output, show=interrupt)
    assert output.read_text() == "before"
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) == 2


@pytest.mark.parametrize("name", ["out.xlsx", "none/out.csv", "."])
def test_places_that_cannot_be_written(tmp_path, name):
    with pytest.raises(RunnerError, match="--output"):
        table_writer.check(tmp_path / name, [])


@pytest.mark.parametrize(
    ("first", "kept", "told"),
    [("n1,who", True, False), ("5,99", True, False), ("from,to", False, False),
     ("who,knows", False, True)],
)  # fmt: skip
def test_a_first_row_is_dropped_only_as_names_of_columns(tmp_path, caplog, first, kept, told):
    file, output = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text(f"{first}\nn1,n2\n")
    score(file, output)
    written = rows(output)
    assert written[0][:2] == (["source", "target"] if kept else first.split(","))
    assert [row[:2] for row in written[1:]] == [first.split(",")] * kept + [["n1", "n2"]]
    assert ("is taken for the names of its columns" in caplog.text) == told
