"""Miniatures in the exact layout of the Open Graph Benchmark, and the real ogbl-ddi."""

from __future__ import annotations

import contextlib
import gzip
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ogb.linkproppred import PygLinkPropPredDataset
from torch_geometric.data.data import Data, DataEdgeAttr, DataTensorAttr
from torch_geometric.data.storage import GlobalStorage

from runner.data.ogb import ogb_link
from runner.data.ogb_raw import allowed, convert, rows
from runner.errors import RunnerError
from runner.ops.csr import Graph
from runner.storage.checksums import digest, seal
from runner.storage.workshop import workshop

PYG = [Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]  # what OGB's own cache is made of
NODES = 30
RNG = np.random.default_rng(0)
TRAIN, VALID, TEST = (RNG.integers(NODES, size=(n, 2)) for n in (80, 10, 12))
NEGATIVE = RNG.integers(NODES, size=(40, 2))


def write_csv(file: Path, array: np.ndarray, form: str = "%d") -> None:
    with gzip.open(file, "wt") as stream:
        np.savetxt(stream, array, fmt=form, delimiter=",")


def write(root: Path, name: str, split_type: str, splits: dict, features=None) -> Path:
    folder = root / "ogb" / name.replace("-", "_")
    (folder / "raw").mkdir(parents=True)
    (folder / "split" / split_type).mkdir(parents=True)
    (folder / "RELEASE_v1.txt").write_text("")
    write_csv(folder / "raw" / "edge.csv.gz", TRAIN)
    write_csv(folder / "raw" / "num-node-list.csv.gz", np.array([NODES]))
    write_csv(folder / "raw" / "num-edge-list.csv.gz", np.array([len(TRAIN)]))
    if features is not None:
        form = "%d" if features.dtype.kind == "i" else "%.4f"
        write_csv(folder / "raw" / "node-feat.csv.gz", features, form)
    for part, content in splits.items():
        torch.save(content, folder / "split" / split_type / f"{part}.pt")
    return folder


def undirected() -> dict:
    return {
        "train": {"edge": TRAIN},
        "valid": {"edge": VALID, "edge_neg": NEGATIVE},
        "test": {"edge": TEST, "edge_neg": NEGATIVE},
    }


def load(root: Path, name: str, features: str):
    return ogb_link(name=name, root=str(root), cache=str(root / "cache"), features=features)


def assert_as_ogb_reads_it(root: Path, name: str, data) -> None:
    """By OGB's own loader, from a copy, since it writes beside the files."""
    folder = root / "ogb" / name.replace("-", "_")
    shutil.copytree(folder, root / "theirs" / folder.name)
    with torch.serialization.safe_globals(allowed() + PYG):
        dataset = PygLinkPropPredDataset(name, root=str(root / "theirs"))
        graph, splits = dataset[0], dataset.get_edge_split()
    assert data.num_nodes == graph.num_nodes
    if graph.x is not None:
        assert torch.equal(data.features, graph.x.float())
    raw = np.concatenate(list(rows(folder / "raw/edge.csv.gz", np.int64)))
    both_ways = dataset.meta_info["add_inverse_edge"] == "True"
    assert np.array_equal(raw.T, graph.edge_index[:, :: 1 + both_ways].numpy())
    for part, found in (("train", data.train), ("valid", data.valid), ("test", data.test)):
        theirs = {key: torch.as_tensor(value) for key, value in splits[part].items()}
        if data.directed:
            links = torch.stack([theirs["source_node"], theirs["target_node"]])
            negative = theirs.get("target_node_neg")
        else:
            links, negative = theirs["edge"].T, theirs.get("edge_neg")
        if part == "train":
            assert torch.equal(found, links)
            continue
        assert torch.equal(found.positive, links)
        assert torch.equal(found.negative[1] if data.directed else found.negative.T, negative)
    assert torch.equal(data.train_graph.key, Graph.from_edges(data.train, data.num_nodes).key)


def test_ddi_learns_an_embedding_for_every_node(tmp_path):
    write(tmp_path, "ogbl-ddi", "target", undirected())
    data = load(tmp_path, "ogbl-ddi", "node_id")
    assert data.num_nodes == data.num_categories == NODES
    assert torch.equal(data.train, torch.from_numpy(TRAIN.T))
    assert torch.equal(data.valid.negative, torch.from_numpy(NEGATIVE.T))
    assert not data.directed


def test_ppa_takes_the_species_of_one_hot_rows(tmp_path):
    species = np.arange(NODES) % 5
    write(tmp_path, "ogbl-ppa", "throughput", undirected(), np.eye(5, dtype=np.int64)[species])
    data = load(tmp_path, "ogbl-ppa", "argmax")
    assert torch.equal(data.features, torch.from_numpy(species)) and data.num_categories == 5


def test_collab_keeps_its_rows(tmp_path):
    splits = undirected()
    for part in splits.values():
        part["year"] = np.full(len(part["edge"]), 2017)
        part["weight"] = np.ones(len(part["edge"]), dtype=np.int64)
    splits["train"]["edge"] = np.concatenate([TRAIN, TRAIN[:7]])
    features = RNG.random((NODES, 4)).round(4)
    folder = write(tmp_path, "ogbl-collab", "time", splits, features)
    for extra in ("edge_weight", "edge_year"):
        write_csv(folder / "raw" / f"{extra}.csv.gz", np.full(len(TRAIN), 2017))
    data = load(tmp_path, "ogbl-collab", "stored")
    assert_as_ogb_reads_it(tmp_path, "ogbl-collab", data)
    assert data.train.shape == (2, 87)
    assert data.features.dtype == torch.float32 and data.num_categories is None
    assert np.allclose(data.features.numpy(), features)


@pytest.mark.parametrize("large", [0, 2**25])
def test_collab_from_a_year_on(tmp_path, monkeypatch, large):
    """The links of training alone, as targets and as graph; read in this process and in another."""
    monkeypatch.setattr("runner.data.ogb._LARGE", large)
    splits = undirected()
    years = 2000 + np.arange(len(TRAIN)) % 20
    for part in splits.values():
        part["year"] = np.full(len(part["edge"]), 1999)
    splits["train"]["year"] = years
    folder = write(tmp_path, "ogbl-collab", "time", splits, RNG.random((NODES, 4)).round(4))
    for extra in ("edge_weight", "edge_year"):
        write_csv(folder / "raw" / f"{extra}.csv.gz", np.full(len(TRAIN), 2017))
    given = {"name": "ogbl-collab", "root": str(tmp_path), "cache": str(tmp_path / "cache")}
    every = ogb_link(**given, features="stored")
    data = ogb_link(**given, features="stored", min_year=2011)
    assert every.train.shape == (2, len(TRAIN))
    kept = torch.from_numpy(TRAIN[years >= 2011].T)
    assert torch.equal(data.train, kept) and data.fingerprint != every.fingerprint
    assert torch.equal(data.train_graph.key, Graph.from_edges(kept, NODES).key)
    assert torch.equal(data.valid.positive, every.valid.positive)
    with pytest.raises(RunnerError, match=r"min_year=2020: .* give at most 2019"):
        ogb_link(**given, features="stored", min_year=2020)


def test_links_without_years_have_no_first_one(tmp_path):
    write(tmp_path, "ogbl-ddi", "target", undirected())
    given = {"name": "ogbl-ddi", "root": str(tmp_path), "cache": str(tmp_path / "cache")}
    with pytest.raises(RunnerError, match="min_year=2011: this dataset's links have no years"):
        ogb_link(**given, features="node_id", min_year=2011)


def test_citation2_is_directed_with_negatives_of_each_positive(tmp_path):
    def part(links, negatives=None):
        content = {"source_node": links[:, 0], "target_node": links[:, 1]}
        return content if negatives is None else {**content, "target_node_neg": negatives}

    targets = RNG.integers(NODES, size=(len(VALID), 9))
    splits = {
        "train": part(TRAIN),
        "valid": part(VALID, targets),
        "test": part(TEST, RNG.integers(NODES, size=(len(TEST), 9))),
    }
    folder = write(tmp_path, "ogbl-citation2", "time", splits, RNG.random((NODES, 4)).round(4))
    write_csv(folder / "raw" / "node_year.csv.gz", np.full(NODES, 2017))
    data = load(tmp_path, "ogbl-citation2", "stored")
    assert_as_ogb_reads_it(tmp_path, "ogbl-citation2", data)
    assert data.directed and data.valid.negative.shape == (2, len(VALID), 9)
    assert torch.equal(data.valid.positive, torch.from_numpy(VALID.T))
    assert torch.equal(data.valid.negative[0, :, 3], torch.from_numpy(VALID[:, 0]))
    assert torch.equal(data.valid.negative[1], torch.from_numpy(targets))


def test_nothing_is_written_beside_the_raw_files_and_the_cache_serves_again(tmp_path, capfd):
    folder = write(tmp_path, "ogbl-ddi", "target", undirected())
    before = sorted(folder.rglob("*"))
    first = load(tmp_path, "ogbl-ddi", "node_id")
    assert sorted(folder.rglob("*")) == before
    (kept,) = (tmp_path / "cache" / "ogb").iterdir()
    assert load(tmp_path, "ogbl-ddi", "node_id").fingerprint == first.fingerprint
    assert capfd.readouterr().out == ""
    processed = kept / "data.pt"
    processed.write_bytes(b"damaged")
    assert load(tmp_path, "ogbl-ddi", "node_id").fingerprint == first.fingerprint


def test_changed_raw_files_are_read_anew(tmp_path):
    folder = write(tmp_path, "ogbl-ppa", "throughput", undirected(), np.eye(NODES, dtype=np.int64))
    first = load(tmp_path, "ogbl-ppa", "argmax")
    species = np.eye(NODES, dtype=np.int64)[::-1]
    write_csv(folder / "raw" / "node-feat.csv.gz", species)
    os.utime(folder / "raw" / "node-feat.csv.gz", (1, 1))
    assert load(tmp_path, "ogbl-ppa", "argmax").fingerprint != first.fingerprint


def test_a_changed_content_is_noticed_at_equal_size_and_time(tmp_path, caplog):
    folder = write(tmp_path, "ogbl-ppa", "throughput", undirected(), np.eye(NODES, dtype=np.int64))
    file, found = folder / "raw" / "node-feat.csv.gz", []
    for species in (np.eye(NODES, dtype=np.int64), np.eye(NODES, dtype=np.int64)[::-1]):
        rows = "\n".join(",".join(map(str, row)) for row in species)
        file.write_bytes(gzip.compress(rows.encode(), compresslevel=0, mtime=0))
        os.utime(file, (1, 1))
        found.append((load(tmp_path, "ogbl-ppa", "argmax").fingerprint, file.stat().st_size))
    assert found[0][0] != found[1][0] and found[0][1] == found[1][1]
    assert "was made of other raw files and is made anew" in caplog.text
    assert len(list((tmp_path / "cache" / "ogb").iterdir())) == 1


@pytest.fixture
def builds(monkeypatch) -> list[str]:
    """A name for every time that raw files are processed."""
    made: list[str] = []

    def counted(folder, *arguments):
        made.append(folder.name)
        convert(folder, *arguments)

    monkeypatch.setattr("runner.data.ogb.convert", counted)
    return made


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_a_damaged_cache_is_named_and_made_anew(tmp_path, caplog, builds, damage):
    write(tmp_path, "ogbl-ppa", "throughput", undirected(), np.eye(NODES, dtype=np.int64))
    first = load(tmp_path, "ogbl-ppa", "argmax")
    assert load(tmp_path, "ogbl-ppa", "argmax").fingerprint == first.fingerprint
    assert len(builds) == 1 and caplog.text == ""
    (kept,) = (tmp_path / "cache" / "ogb").iterdir()
    file = kept / "data.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "delete":
        file.unlink()
    else:
        file.write_bytes(content if damage == "flip" else content[:-1])
    assert load(tmp_path, "ogbl-ppa", "argmax").fingerprint == first.fingerprint
    ((_, _, message),) = caplog.record_tuples
    assert str(kept) in message and "data.pt) and is made anew" in message
    load(tmp_path, "ogbl-ppa", "argmax")
    assert len(builds) == 2 and len(caplog.records) == 1


TOGETHER = """
import multiprocessing, os, signal, sys
from pathlib import Path
from runner.data import ogb

root, convert = Path(sys.argv[1]), ogb.convert

def counted(*arguments):
    with open(root / "builds", "a") as file:
        file.write("build ")
    convert(*arguments)
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)

ogb.convert = counted

def load(barrier):
    barrier.wait()
    data = ogb.ogb_link(
        name="ogbl-ppa", root=str(root), cache=str(root / "cache"), features="argmax"
    )
    with open(root / "loaded", "a") as file:
        file.write(data.fingerprint + chr(10))

def run(count):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(count)
    started = [context.Process(target=load, args=(barrier,)) for _ in range(count)]
    for each in started:
        each.start()
    for each in started:
        each.join()
    print(*[each.exitcode for each in started])

killed = True
run(1)
print(*os.listdir(root / "cache" / "ogb"))
killed = False
run(8)
"""


@pytest.mark.soak
def test_of_processes_that_start_together_one_builds_even_after_one_was_killed(tmp_path):
    write(tmp_path, "ogbl-ppa", "throughput", undirected(), np.eye(NODES, dtype=np.int64))
    command = [sys.executable, "-c", TOGETHER, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    first, left, then = done.stdout.splitlines()
    assert first == "-9" and len(left.split()) == 2  # its lock and its folder
    assert then == " ".join(["0"] * 8)
    assert (tmp_path / "builds").read_text() == "build build "
    loaded = (tmp_path / "loaded").read_text().split()
    assert len(loaded) == 8
    assert set(loaded) == {load(tmp_path, "ogbl-ppa", "argmax").fingerprint}
    (kept,) = (tmp_path / "cache" / "ogb").iterdir()
    assert kept.name not in left.split()


def test_a_place_for_the_cache_that_cannot_be_written(tmp_path):
    write(tmp_path, "ogbl-ddi", "target", undirected())
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(RunnerError, match=r"run\.cache=.*/cache: it cannot be written"):
        load(tmp_path, "ogbl-ddi", "node_id")


@pytest.mark.command
def test_a_fresh_process_asks_no_registry(tmp_path):
    """OGB's import starts a thread that asks whether OGB is up to date."""
    write(tmp_path, "ogbl-ddi", "target", undirected())
    program = (
        "import sys, threading; from runner.data.ogb import ogb_link;"
        f"data = ogb_link(name='ogbl-ddi', root={str(tmp_path)!r}, cache={str(tmp_path / 'c')!r},"
        "features='node_id');"
        "print(data.num_nodes, 'outdated' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["30", "False"], done.stderr


def test_missing_files_are_named_and_nobody_is_asked(tmp_path):
    folder = write(tmp_path, "ogbl-ddi", "target", undirected())
    (folder / "split" / "target" / "test.pt").unlink()
    with pytest.raises(RunnerError, match=r"files are missing in .*split/target/test\.pt"):
        load(tmp_path, "ogbl-ddi", "node_id")


def test_a_dataset_that_cannot_be_downloaded(tmp_path, monkeypatch):
    def no_network(*arguments):
        raise OSError("no network")

    monkeypatch.setattr("runner.data.ogb.download", no_network)
    with pytest.raises(RunnerError, match=r"cannot be downloaded \(OSError\).*raw/edge\.csv\.gz"):
        load(tmp_path, "ogbl-ddi", "node_id")
    assert not (tmp_path / "ogb" / "ogbl_ddi").exists()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """OGB's server, with a miniature ogbl-ddi; returns the list of its downloads."""
    folder = write(tmp_path / "server", "ogbl-ddi", "target", undirected())
    folder.rename(folder.with_name("ddi"))
    archive = shutil.make_archive(str(tmp_path / "ddi"), "zip", folder.parent, "ddi")
    downloads: list[str] = []

    def download(url, place):
        downloads.append(url)
        return Path(shutil.copy(archive, place))

    monkeypatch.setattr("runner.data.ogb.download", download)
    return downloads


def test_a_download_is_the_files_alone(tmp_path, server):
    root = tmp_path / "data"
    data = load(root, "ogbl-ddi", "node_id")
    assert torch.equal(data.train, torch.from_numpy(TRAIN.T))
    assert [path.name for path in (root / "ogb").iterdir()] == ["ogbl_ddi"]
    found = {path.name for path in (root / "ogb" / "ogbl_ddi").iterdir()}
    assert found == {"raw", "split", "RELEASE_v1.txt"}
    load(root, "ogbl-ddi", "node_id")
    assert len(server) == 1


@pytest.mark.parametrize(
    "step", ["runner.data.ogb.download", "zipfile.ZipFile.extractall", "runner.data.ogb.sync"]
)
def test_a_broken_download_leaves_nothing_and_the_next_is_whole(
    tmp_path, monkeypatch, server, step
):
    root = tmp_path / "data"

    def breaks(*arguments):
        raw = Path(arguments[-1]) / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        (raw / "edge.csv.gz").write_bytes(b"half")
        raise OSError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(step, breaks)
        with pytest.raises(RunnerError, match=r"cannot be downloaded \(OSError\)"):
            load(root, "ogbl-ddi", "node_id")
    assert not root.exists()
    assert load(root, "ogbl-ddi", "node_id").num_nodes == NODES
    assert [path.name for path in (root / "ogb").iterdir()] == ["ogbl_ddi"]


def test_what_a_killed_download_left_is_removed(tmp_path, server):
    left = tmp_path / "data" / "ogb" / ".ogbl_ddi.making-killed"
    (left / "ogbl_ddi" / "raw").mkdir(parents=True)
    (left.parent / ".ogbl_ddi.lock").touch()
    assert load(tmp_path / "data", "ogbl-ddi", "node_id").num_nodes == NODES
    assert [path.name for path in left.parent.iterdir()] == ["ogbl_ddi"]


def test_a_download_that_lacks_a_file_is_none(tmp_path, monkeypatch, server):
    monkeypatch.setattr("zipfile.ZipFile.extractall", lambda archive, place: (
        (Path(place) / "ddi" / "raw").mkdir(parents=True)
    ))  # fmt: skip
    with pytest.raises(RunnerError, match="cannot be downloaded"):
        load(tmp_path / "data", "ogbl-ddi", "node_id")
    assert not (tmp_path / "data").exists()


def test_what_another_process_has_downloaded_meanwhile_is_taken(tmp_path, monkeypatch, server):
    real = workshop

    @contextlib.contextmanager
    def waiting(final):
        if final.name == "ogbl_ddi":
            write(final.parents[1], "ogbl-ddi", "target", undirected())
        with real(final) as working:
            yield working

    monkeypatch.setattr("runner.data.ogb.workshop", waiting)
    assert load(tmp_path / "data", "ogbl-ddi", "node_id").num_nodes == NODES
    assert server == []


def test_damaged_files_are_named(tmp_path):
    folder = write(tmp_path, "ogbl-ddi", "target", undirected())
    (folder / "split" / "target" / "valid.pt").write_bytes(b"damaged")
    with pytest.raises(RunnerError, match="are damaged or not ogbl-ddi's"):
        load(tmp_path, "ogbl-ddi", "node_id")
    assert not (tmp_path / "cache").exists()


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("file", ["train.pt", "valid.pt", "test.pt"])
@pytest.mark.parametrize("permitted", [False, True])
def test_code_in_a_split_is_refused(tmp_path, monkeypatch, file, permitted):
    if permitted:  # to the rest of PyTorch, by the user's environment
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    folder = write(tmp_path, "ogbl-ddi", "target", undirected())
    torch.save({"edge": Evil(tmp_path / "executed")}, folder / "split" / "target" / file)
    with pytest.raises(RunnerError, match="damaged"):
        load(tmp_path, "ogbl-ddi", "node_id")
    assert not (tmp_path / "executed").exists()
    assert ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" in os.environ) == permitted


@pytest.mark.parametrize("file", ["edge", "num-node-list", "num-edge-list", "node-feat"])
@pytest.mark.parametrize("packed", [False, True])
def test_code_in_a_raw_file_is_refused(tmp_path, file, packed):
    folder = write(tmp_path, "ogbl-ppa", "throughput", undirected(), np.eye(5)[np.arange(30) % 5])
    evil = pickle.dumps(Evil(tmp_path / "executed"))
    (folder / "raw" / f"{file}.csv.gz").write_bytes(gzip.compress(evil) if packed else evil)
    with pytest.raises(RunnerError, match="damaged"):
        load(tmp_path, "ogbl-ppa", "argmax")
    assert not (tmp_path / "executed").exists()


def test_code_in_the_cache_is_refused(tmp_path, caplog):
    """Even where its checksum is right."""
    folder = write(tmp_path, "ogbl-ddi", "target", undirected())
    first = load(tmp_path, "ogbl-ddi", "node_id")
    (kept,) = (tmp_path / "cache" / "ogb").iterdir()
    torch.save(Evil(tmp_path / "executed"), kept / "data.pt")
    (kept / "checksums.json").unlink()
    seal(kept, made_of=digest(folder / "raw", folder / "split"))
    assert load(tmp_path, "ogbl-ddi", "node_id").fingerprint == first.fingerprint
    assert not (tmp_path / "executed").exists()
    assert "cannot be read" in caplog.text


def test_an_unknown_name(tmp_path):
    with pytest.raises(RunnerError, match="ogbl-nothing: OGB has no such dataset; known: ogbl-ppa"):
        load(tmp_path, "ogbl-nothing", "stored")


@pytest.mark.skipif("RUNNER_DATA" not in os.environ, reason="RUNNER_DATA is not set")
def test_the_real_ddi(tmp_path):
    data = ogb_link(
        name="ogbl-ddi",
        root=os.environ["RUNNER_DATA"],
        cache=str(tmp_path / "cache"),
        features="node_id",
    )
    (tmp_path / "ogb").mkdir()
    (tmp_path / "ogb/ogbl_ddi").symlink_to(Path(os.environ["RUNNER_DATA"]) / "ogb/ogbl_ddi")
    assert_as_ogb_reads_it(tmp_path, "ogbl-ddi", data)
    assert data.num_nodes == 4267 and data.train.shape == (2, 1_067_911)
    assert data.valid.positive.shape == data.test.positive.shape == (2, 133_489)
    assert data.valid.negative.shape[1] == 101_882 and data.test.negative.shape[1] == 95_599
