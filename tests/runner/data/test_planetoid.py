import contextlib
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

from runner.data.pickles import prove_harmless
from runner.data.planetoid import planetoid
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=2.0, test_negatives=1.0)


def write_raw(folder: Path, name: str = "cora", protocol: int = pickle.DEFAULT_PROTOCOL) -> None:
    """600 papers on a ring with chords, in Planetoid's raw files (PyG wants over 500)."""
    folder.mkdir(parents=True)
    features = scipy.sparse.random(600, 6, density=0.5, random_state=0, format="csr")
    labels = np.eye(3)[np.arange(600) % 3]
    graph = {node: [(node + 1) % 600, (node + 7) % 600] for node in range(600)}
    parts = {
        "x": features[:10], "allx": features[:560], "tx": features[560:],
        "y": labels[:10], "ally": labels[:560], "ty": labels[560:], "graph": graph,
    }  # fmt: skip
    for part, content in parts.items():
        (folder / f"ind.{name}.{part}").write_bytes(pickle.dumps(content, protocol))
    (folder / f"ind.{name}.test.index").write_text("\n".join(map(str, range(560, 600))))


def test_raw_files_are_read_where_they_are(tmp_path):
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    before = sorted(tmp_path.rglob("*"))
    data = planetoid(name="Cora", root=str(tmp_path), split=SPLIT)
    assert sorted(tmp_path.rglob("*")) == before  # a read-only root works
    assert data.features.shape == (600, 6) and data.features.dtype == torch.float32
    links = data.train.shape[1] + data.valid.positive.shape[1] + data.test.positive.shape[1]
    assert links == 1200


def test_missing_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("torch_geometric.datasets.Planetoid.download", no_network)
    with pytest.raises(RunnerError, match=r"planetoid/PubMed/raw.*ind\.pubmed\.x"):
        planetoid(name="PubMed", root=str(tmp_path / "data"), split=SPLIT)
    assert not (tmp_path / "data").exists()


def no_network(self):
    raise OSError("no network")


def test_corrupt_files_are_named(tmp_path):
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    (folder / "ind.cora.allx").write_bytes(b"not a pickle")
    with pytest.raises(RunnerError, match=r"planetoid/Cora/raw cannot be read"):
        planetoid(name="Cora", root=str(tmp_path), split=SPLIT)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_any_writer_of_the_layout_writes_is_read(tmp_path, protocol):
    found = set()
    for place, version in ((tmp_path / "a", protocol), (tmp_path / "b", 4)):
        write_raw(place / "planetoid" / "Cora" / "raw", protocol=version)
        found.add(planetoid(name="Cora", root=str(place), split=SPLIT).fingerprint)
    assert len(found) == 1


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (str(self.target),))


@pytest.mark.parametrize("part", ["x", "tx", "allx", "y", "ty", "ally", "graph"])
def test_code_in_a_raw_file_is_refused(tmp_path, part):
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    file = folder / f"ind.cora.{part}"
    file.write_bytes(pickle.dumps({0: [1], 1: Evil(tmp_path / "executed")}))
    asks = rf"{file} is refused.*asks for \w+\.mkdir.*delete it"
    with pytest.raises(RunnerError, match=asks) as error:
        planetoid(name="Cora", root=str(tmp_path), split=SPLIT)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "executed").exists()


def test_only_the_bytes_that_were_checked_are_read(tmp_path, monkeypatch):
    """Somebody exchanges a file between the check and PyG's reading."""
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    whole = planetoid(name="Cora", root=str(tmp_path), split=SPLIT)

    def check_and_exchange(content):
        prove_harmless(content)
        for file in folder.glob("*x"):
            file.write_bytes(pickle.dumps(Evil(tmp_path / "executed")))

    contents = {file: file.read_bytes() for file in folder.iterdir()}
    monkeypatch.setattr(Path, "read_bytes", lambda file: contents[file])
    monkeypatch.setattr("runner.data.planetoid.prove_harmless", check_and_exchange)
    again = planetoid(name="Cora", root=str(tmp_path), split=SPLIT)
    assert again.fingerprint == whole.fingerprint
    assert not (tmp_path / "executed").exists()


def test_edges_to_nodes_that_are_not_there(tmp_path):
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    (folder / "ind.cora.graph").write_bytes(pickle.dumps({0: [1], 1: [700]}))
    with pytest.raises(RunnerError, match="nodes 0 to 700 in a graph of 600"):
        planetoid(name="Cora", root=str(tmp_path), split=SPLIT)


def download(monkeypatch, source: Path, files: int = 8) -> list[Path]:
    """Let PyG's download copy so many files from `source` and then fail, or end."""
    folders = []

    def copy(self):
        folders.append(Path(self.raw_dir))
        for file in sorted(source.iterdir())[:files]:
            shutil.copy(file, self.raw_dir)
        if files < 8:
            (Path(self.raw_dir) / "ind.cora.y").write_bytes(b"the beginning")
            raise OSError("the connection broke")

    monkeypatch.setattr("torch_geometric.datasets.Planetoid.download", copy)
    return folders


@pytest.mark.parametrize("given", [None, "ind.cora.x", "notes.txt"])
def test_a_broken_download_leaves_nothing_and_the_next_is_whole(tmp_path, monkeypatch, given):
    write_raw(tmp_path / "source")
    root = tmp_path / "data"
    folder = root / "planetoid" / "Cora" / "raw"
    if given is not None:
        folder.mkdir(parents=True)
        (folder / given).write_bytes(b"given")
    before = sorted(root.rglob("*"))
    download(monkeypatch, tmp_path / "source", files=7)
    with pytest.raises(RunnerError, match=r"cannot be downloaded \(OSError\)"):
        planetoid(name="Cora", root=str(root), split=SPLIT)
    assert sorted(root.rglob("*")) == before and root.exists() == bool(before)
    begun = download(monkeypatch, tmp_path / "source")
    data = planetoid(name="Cora", root=str(root), split=SPLIT)
    assert data.num_nodes == 600 and len(begun) == 1
    assert {file.name for file in folder.iterdir()} >= {"ind.cora.x", "ind.cora.test.index"}
    assert [path.name for path in folder.parent.iterdir()] == ["raw"]


def test_what_a_killed_download_left_is_removed(tmp_path, monkeypatch):
    write_raw(tmp_path / "source")
    left = tmp_path / "planetoid" / "Cora" / ".raw.making-killed"
    left.mkdir(parents=True)
    (left.parent / ".raw.lock").touch()
    download(monkeypatch, tmp_path / "source")
    planetoid(name="Cora", root=str(tmp_path), split=SPLIT)
    assert [path.name for path in left.parent.iterdir()] == ["raw"]


def test_a_download_that_lacks_a_file_is_none(tmp_path, monkeypatch):
    write_raw(tmp_path / "source")
    (tmp_path / "source" / "ind.cora.ty").unlink()
    download(monkeypatch, tmp_path / "source")
    with pytest.raises(RunnerError, match="cannot be downloaded"):
        planetoid(name="Cora", root=str(tmp_path / "data"), split=SPLIT)
    assert not (tmp_path / "data").exists()


def test_what_another_process_has_downloaded_meanwhile_is_taken(tmp_path, monkeypatch):
    folder = tmp_path / "planetoid" / "Cora" / "raw"

    @contextlib.contextmanager
    def waiting(final):
        write_raw(final)
        yield tmp_path

    monkeypatch.setattr("runner.data.planetoid.workshop", waiting)
    begun = download(monkeypatch, folder)
    assert planetoid(name="Cora", root=str(tmp_path), split=SPLIT).num_nodes == 600
    assert begun == []


def test_a_download_reads_no_pickle(tmp_path, monkeypatch):
    write_raw(tmp_path / "source")
    evil = tmp_path / "source" / "ind.cora.allx"
    evil.write_bytes(pickle.dumps(Evil(tmp_path / "executed")))
    download(monkeypatch, tmp_path / "source")
    with pytest.raises(RunnerError, match=r"raw/ind\.cora\.allx is refused"):
        planetoid(name="Cora", root=str(tmp_path / "data"), split=SPLIT)
    assert not (tmp_path / "executed").exists()


@pytest.mark.skipif("RUNNER_DATA" not in os.environ, reason="RUNNER_DATA is not set")
@pytest.mark.parametrize(
    ("name", "nodes", "links", "words"),
    [("Cora", 2708, 5278, 1433), ("CiteSeer", 3327, 4552, 3703)],
)
def test_the_real_graphs(name, nodes, links, words):
    data = planetoid(name=name, root=os.environ["RUNNER_DATA"], split=SPLIT)
    assert data.features.shape == (nodes, words)
    found = data.train.shape[1] + data.valid.positive.shape[1] + data.test.positive.shape[1]
    assert found == links
