"""The graph of a user's file is read once, and never half or of another file."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runner.data import edges
from runner.data.edges import edge_file
from runner.data.link_data import EvaluationSplit
from runner.data.reading import graph_cache
from runner.data.reading.graph_cache import Names
from runner.data.splits import RandomSplit
from runner.data.whole_graph import Split
from runner.errors import RunnerError
from runner.storage import kept

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=2.0, test_negatives=1.0)
LINKS = [(u, v) for u in range(30) for v in range(u) if (u * v + u) % 3 == 0]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "graph.csv"
    write(path, LINKS)
    return path


@pytest.fixture
def reads(monkeypatch):
    """How often the file itself was read."""
    counted = []
    read = edges.read_graph

    def reading(given):
        counted.append(given)
        return read(given)

    monkeypatch.setattr(edges, "read_graph", reading)
    return counted


def write(path, links):
    path.write_text("source,target\n" + "\n".join(f"n{u},n{v}" for u, v in links))


def read(file, cache, **keys):
    return edge_file(path=str(file), cache=str(cache), **{"features": None, "split": SPLIT, **keys})


def alike(one, other):
    return (
        one.fingerprint == other.fingerprint
        and list(one.names) == list(other.names)
        and one.notes == other.notes
        and one.facts == other.facts
    )


def test_a_later_run_reads_the_cache(file, tmp_path, reads):
    first, later = read(file, tmp_path / "cache"), read(file, tmp_path / "cache")
    assert len(reads) == 1 and alike(first, later)
    assert alike(first, edge_file(path=str(file), features=None, split=SPLIT))


def test_another_split_is_of_the_same_graph(file, tmp_path, reads):
    first = read(file, tmp_path / "cache")
    other = RandomSplit(valid=0.1, test=0.2, seed=1, valid_negatives=2.0, test_negatives=1.0)
    second = read(file, tmp_path / "cache", split=other)
    assert len(reads) == 1 and first.fingerprint != second.fingerprint
    assert first.graph_fingerprint == second.graph_fingerprint


def test_a_changed_file_is_noticed_even_with_its_time_and_size(file, tmp_path, reads):
    first = read(file, tmp_path / "cache")
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_text(file.read_text().replace("n29,n26", "n29,n25"))
    os.utime(file, ns=times)
    second = read(file, tmp_path / "cache")
    assert len(reads) == 2 and first.graph_fingerprint != second.graph_fingerprint


def test_other_keys_are_another_reading(file, tmp_path, reads):
    read(file, tmp_path / "cache")
    assert read(file, tmp_path / "cache", directed=True).directed
    assert not read(file, tmp_path / "cache").directed
    assert len(reads) == 2


def test_changed_features_are_noticed(file, tmp_path, reads):
    table = tmp_path / "nodes.csv"
    rows = [f"n{n},{n}" for n in range(30)]
    table.write_text("\n".join(["id,x", *rows]))
    first = read(file, tmp_path / "cache", features=str(table))
    table.write_text("\n".join(["id,x", *rows[:-1], "n29,0"]))
    second = read(file, tmp_path / "cache", features=str(table))
    assert len(reads) == 2 and not torch.equal(first.features, second.features)
    as_nodes = read(file, tmp_path / "cache", nodes=str(table))
    assert len(reads) == 3 and not torch.equal(as_nodes.features, second.features)


def test_another_version_of_the_reader_reads_anew(file, tmp_path, reads, monkeypatch, caplog):
    read(file, tmp_path / "cache")
    monkeypatch.setattr(graph_cache, "_digest_of_reader", lambda: "another")
    read(file, tmp_path / "cache")
    assert len(reads) == 2 and "was made by other code and is made anew" in caplog.text
    write(file, LINKS[1:])
    read(file, tmp_path / "cache")
    assert len(reads) == 3 and "was made of other raw files and is made anew" in caplog.text


@pytest.mark.parametrize("seconds", [0.0, 0.4])
def test_reading_is_told_once_it_takes_long(file, tmp_path, monkeypatch, caplog, seconds):
    monkeypatch.setattr(kept, "_LONG", 0.1)
    monkeypatch.setattr(edges, "read_graph", lambda given: time.sleep(seconds) or refuse())
    with caplog.at_level("INFO"), pytest.raises(RunnerError, match="no graph"):
        read(file, tmp_path / "cache")
    assert ("is processed, once, into" in caplog.text) == (seconds > 0)


def refuse():
    raise RunnerError("no graph")


def test_a_damaged_cache_is_made_anew(file, tmp_path, reads, caplog):
    first = read(file, tmp_path / "cache")
    (stored,) = (tmp_path / "cache").rglob("graph.pt")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    assert alike(first, read(file, tmp_path / "cache"))
    assert len(reads) == 2 and "is damaged" in caplog.text


def test_a_cache_that_cannot_be_written_is_no_error(file, tmp_path, caplog):
    (tmp_path / "cache").write_text("a file")
    assert read(file, tmp_path / "cache").num_nodes == 30
    assert "not kept in the cache" in caplog.text


def test_a_full_disk_is_no_error(file, tmp_path, monkeypatch, caplog):
    def full(*_):
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(graph_cache.torch, "save", full)
    assert read(file, tmp_path / "cache").num_nodes == 30
    assert "not kept in the cache" in caplog.text
    assert not list((tmp_path / "cache").rglob("*.pt"))


def test_what_cannot_be_read_leaves_nothing(tmp_path):
    (tmp_path / "graph.csv").write_text("source,target\n1,\n")
    with pytest.raises(RunnerError, match="no value in column target"):
        read(tmp_path / "graph.csv", tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_parts_of_a_split_are_kept(file, tmp_path):
    whole = graph_cache.read_once(None, [file], {}, lambda: read_whole(file))
    pairs = torch.tensor([[0, 1], [2, 3]])
    parts = Split(pairs, EvaluationSplit(pairs, pairs), EvaluationSplit(pairs, pairs), notes=("a",))
    graph_cache._write(tmp_path, replace_parts(whole, parts))
    loaded = graph_cache._load(tmp_path).whole.parts
    assert torch.equal(loaded.valid.negative, pairs) and loaded.notes == ("a",)
    assert loaded.test_support is None


def read_whole(file):
    return edges.read_graph(edges.Given(file))


def replace_parts(graph, parts):
    return replace(graph, whole=replace(graph.whole, parts=parts))


def test_names_are_those_that_were_given():
    names = Names.of(["a", "", "Zoë", "日本"])
    again = Names.from_tensors(*names.tensors())
    assert list(again) == list(names) == ["a", "", "Zoë", "日本"]
    assert again[2] == "Zoë" and again[1:3] == ["", "Zoë"] and len(again) == 4


@pytest.mark.command
@pytest.mark.parametrize("wait", [0.0, 0.05, 0.2])
def test_a_kill_while_it_is_read_leaves_nothing_half(tmp_path, wait):
    """The next run finds either nothing or all of it."""
    file = tmp_path / "graph.csv"
    rows = [(u * 7919 % 30_011, u * 104_729 % 30_011) for u in range(400_000)]
    write(file, rows)
    code = (
        "import json, sys; from runner.data.edges import edge_file; from runner.data.splits import"
        " RandomSplit; print('ready', flush=True); d = edge_file(path=sys.argv[1], features=None,"
        " cache=sys.argv[2], split=RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=1.0,"
        " test_negatives=1.0)); print(json.dumps([d.fingerprint, len(d.names)]))"
    )
    command = [sys.executable, "-c", code, str(file), str(tmp_path / "cache")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until = time.monotonic() + 60
        while not any(making(tmp_path / "cache")) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = edge_file(path=str(file), features=None, split=RandomSplit(
        valid=0.1, test=0.2, seed=0, valid_negatives=1.0, test_negatives=1.0))  # fmt: skip
    assert json.loads(done.splitlines()[-1]) == [expected.fingerprint, len(expected.names)]
    assert not any(making(tmp_path / "cache"))


def making(cache: Path):
    return cache.rglob(".*.making-*") if cache.exists() else iter(())
