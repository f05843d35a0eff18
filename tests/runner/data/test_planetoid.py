import contextlib
import hashlib
import io
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from torch_geometric.io import read_planetoid_data

from runner.data.planetoid import planetoid
from runner.data.planetoid_raw import PARTS, read_graph
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=2.0, test_negatives=1.0)


def write_raw(
    folder: Path, name: str = "cora", protocol: int = pickle.DEFAULT_PROTOCOL, apart: int = 0
) -> None:
    """600 papers on a ring with chords, in Planetoid's raw files (PyG wants over 500).

    The first `apart` of them are on a ring of their own.
    """
    folder.mkdir(parents=True)
    features = scipy.sparse.random(600, 6, density=0.5, random_state=0, format="csr")
    labels = np.eye(3)[np.arange(600) % 3]
    graph = {node: [(node + 1) % 600, (node + 7) % 600] for node in range(600)}
    if apart:
        graph = {node: [(node + 1) % apart] for node in range(apart)}
        graph |= {node: [min(node + 1, 599)] for node in range(apart, 600)}
    parts = {
        "x": features[:10], "allx": features[:560], "tx": features[560:],
        "y": labels[:10], "ally": labels[:560], "ty": labels[560:], "graph": graph,
    }  # fmt: skip
    for part, content in parts.items():
        (folder / f"ind.{name}.{part}").write_bytes(pickle.dumps(content, protocol))
    (folder / f"ind.{name}.test.index").write_text("\n".join(map(str, range(560, 600))))


@pytest.mark.command
def test_raw_files_are_read_where_they_are(tmp_path):
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    before = sorted(tmp_path.rglob("*"))
    data = planetoid(name="Cora", root=str(tmp_path), split=SPLIT)
    assert sorted(tmp_path.rglob("*")) == before  # a read-only root works
    assert data.features.shape == (600, 6) and data.features.dtype == torch.float32
    links = data.train.shape[1] + data.valid.positive.shape[1] + data.test.positive.shape[1]
    assert links == 1200


@pytest.mark.command
def test_the_largest_component_alone(tmp_path):
    write_raw(tmp_path / "planetoid" / "Cora" / "raw", apart=50)
    whole, part = (
        planetoid(name="Cora", root=str(tmp_path), split=SPLIT, largest_component=largest)
        for largest in (False, True)
    )
    assert (whole.num_nodes, part.num_nodes) == (600, 550)
    assert torch.equal(part.features, whole.features[50:])
    assert part.graph_fingerprint != whole.graph_fingerprint
    assert any("550 of 600 nodes" in note for note in part.notes)
    assert sum(links.shape[1] for links in part.links.values()) == 549


@pytest.mark.command
def test_rows_of_features_are_divided_by_their_sum(tmp_path):
    write_raw(tmp_path / "planetoid" / "Cora" / "raw")
    given = {"name": "Cora", "root": str(tmp_path), "split": SPLIT}
    raw = planetoid(**given).features
    data = planetoid(**given, normalise_features=True)
    sums = raw.sum(dim=1)
    assert bool((sums == 0).any()) and bool((sums > 1).any())
    assert torch.equal(data.features[sums == 0], raw[sums == 0])
    torch.testing.assert_close(data.features[sums > 0], raw[sums > 0] / sums[sums > 0].unsqueeze(1))


def test_missing_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("runner.data.planetoid.download", no_network)
    with pytest.raises(RunnerError, match=r"planetoid/PubMed/raw.*ind\.pubmed\.allx"):
        planetoid(name="PubMed", root=str(tmp_path / "data"), split=SPLIT)
    assert not (tmp_path / "data").exists()


def no_network(*arguments):
    raise OSError("no network")


@pytest.mark.command
def test_corrupt_files_are_named(tmp_path):
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    (folder / "ind.cora.allx").write_bytes(b"not a pickle")
    with pytest.raises(RunnerError, match=r"planetoid/Cora/raw cannot be read \(ind\.cora\.allx: "):
        planetoid(name="Cora", root=str(tmp_path), split=SPLIT)


@pytest.mark.command
@pytest.mark.parametrize("part", ["allx", "tx", "graph", "test.index"])
def test_every_truncation_is_one_error(tmp_path, part):
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    file = folder / f"ind.cora.{part}"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(RunnerError, match=r"planetoid/Cora/raw cannot be read") as error:
        planetoid(name="Cora", root=str(tmp_path), split=SPLIT)
    assert "\n" not in str(error.value)


FEATURES = scipy.sparse.random(560, 6, density=0.5, random_state=0, format="csr")


def changed(**parts):
    matrix = FEATURES.copy()
    matrix.__dict__.update(parts)
    return pickle.dumps(matrix)


@pytest.mark.command
@pytest.mark.parametrize(
    ("part", "content", "words"),
    [
        ("allx", changed(indices=FEATURES.indices + 1), "indices"),
        ("allx", changed(indices=FEATURES.indices - 1), "indices"),
        ("allx", changed(indptr=FEATURES.indptr * 2), "ind"),
        ("allx", changed(indptr=FEATURES.indptr[::-1].copy()), "ind"),
        ("allx", changed(data=FEATURES.data[:-1]), "data"),
        ("allx", changed(indices=FEATURES.indices + 1, check_format=list), "indices"),
        ("allx", pickle.dumps(np.ones(560)), "no matrix of numbers"),
        ("tx", pickle.dumps(np.ones((40, 1))), r"features of \(560, 6\) and \(40, 1\)"),
        ("tx", pickle.dumps(np.ones((1, 6))), "for 40 test nodes"),
        ("test.index", b"0 1 2" + b" 599" * 37, "for 40 test nodes"),
        ("test.index", " ".join(map(str, range(540, 580))).encode(), "540 to 579 after 560"),
        ("test.index", " ".join(map(str, range(10**9, 10**9 + 40))).encode(), "after 560 others"),
        ("test.index", b"", "for 0 test nodes"),
        ("graph", pickle.dumps({0: [0.5]}), "no edges between numbered nodes"),
        ("graph", pickle.dumps({0: []}), "no edges between numbered nodes"),
        ("graph", pickle.dumps({0: [-1]}), "nodes -1 to 0"),
        ("graph", pickle.dumps(3), "int"),
    ],
)
def test_files_that_do_not_fit_together(tmp_path, part, content, words):
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    (folder / f"ind.cora.{part}").write_bytes(content)
    with pytest.raises(RunnerError, match=rf"planetoid/Cora/raw cannot be read \(.*{words}"):
        planetoid(name="Cora", root=str(tmp_path), split=SPLIT)


@pytest.mark.command
def test_their_checksum_is_told(tmp_path):
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    (note,) = planetoid(name="Cora", root=str(tmp_path), split=SPLIT).notes
    contents = [(folder / f"ind.cora.{part}").read_bytes() for part in PARTS]
    assert note.endswith(hashlib.sha256(b"".join(contents)).hexdigest())


@pytest.mark.parametrize("name", ["cora", "citeseer"])
def test_the_graph_is_as_pyg_reads_it(tmp_path, name):
    write_raw(tmp_path / "raw", name)
    index = np.random.default_rng(0).permutation(np.arange(560, 600))
    if name == "citeseer":  # test nodes may be missing
        index[index == 575] = 600
    (tmp_path / "raw" / f"ind.{name}.test.index").write_text("\n".join(map(str, [*index, ""])))
    theirs = read_planetoid_data(str(tmp_path / "raw"), name)
    with np.load(io.BytesIO(read_graph(str(tmp_path / "raw"), name))) as ours:
        assert np.array_equal(ours["features"], theirs.x.numpy())
        both = {tuple(edge) for edge in ours["edges"].T.tolist()}
    assert both == {tuple(edge) for edge in theirs.edge_index.T.tolist()}


@pytest.mark.command
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


@pytest.mark.command
@pytest.mark.parametrize("part", ["allx", "tx", "graph"])
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


@pytest.mark.command
def test_edges_to_nodes_that_are_not_there(tmp_path):
    folder = tmp_path / "planetoid" / "Cora" / "raw"
    write_raw(folder)
    (folder / "ind.cora.graph").write_bytes(pickle.dumps({0: [1], 1: [700]}))
    with pytest.raises(RunnerError, match="nodes 0 to 700 in a graph of 600"):
        planetoid(name="Cora", root=str(tmp_path), split=SPLIT)


def download(monkeypatch, source: Path, files: int = len(PARTS)) -> list[str]:
    """Let a download copy so many files from `source` and then fail, or end."""
    asked = []

    def copy(url, folder):
        name = url.rpartition("/")[2]
        asked.append(name)
        if len(asked) > files:
            (folder / name).write_bytes(b"the beginning")
            raise OSError("the connection broke")
        return shutil.copy(source / name, folder)

    monkeypatch.setattr("runner.data.planetoid.download", copy)
    return asked


@pytest.mark.command
@pytest.mark.parametrize("given", [None, "ind.cora.tx", "notes.txt"])
def test_a_broken_download_leaves_nothing_and_the_next_is_whole(tmp_path, monkeypatch, given):
    write_raw(tmp_path / "source")
    root = tmp_path / "data"
    folder = root / "planetoid" / "Cora" / "raw"
    if given is not None:
        folder.mkdir(parents=True)
        (folder / given).write_bytes(b"given")
    before = sorted(root.rglob("*"))
    download(monkeypatch, tmp_path / "source", files=3)
    with pytest.raises(RunnerError, match=r"cannot be downloaded \(OSError\)"):
        planetoid(name="Cora", root=str(root), split=SPLIT)
    assert sorted(root.rglob("*")) == before and root.exists() == bool(before)
    begun = download(monkeypatch, tmp_path / "source")
    data = planetoid(name="Cora", root=str(root), split=SPLIT)
    assert data.num_nodes == 600 and len(begun) == len(PARTS)
    assert {file.name for file in folder.iterdir()} >= {"ind.cora.tx", "ind.cora.test.index"}
    assert [path.name for path in folder.parent.iterdir()] == ["raw"]


@pytest.mark.command
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
    (tmp_path / "source" / "ind.cora.tx").unlink()
    download(monkeypatch, tmp_path / "source")
    with pytest.raises(RunnerError, match="cannot be downloaded"):
        planetoid(name="Cora", root=str(tmp_path / "data"), split=SPLIT)
    assert not (tmp_path / "data").exists()


@pytest.mark.command
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


@pytest.mark.command
def test_a_download_reads_no_pickle(tmp_path, monkeypatch):
    write_raw(tmp_path / "source")
    evil = tmp_path / "source" / "ind.cora.allx"
    evil.write_bytes(pickle.dumps(Evil(tmp_path / "executed")))
    download(monkeypatch, tmp_path / "source")
    with pytest.raises(RunnerError, match=r"raw/ind\.cora\.allx is refused"):
        planetoid(name="Cora", root=str(tmp_path / "data"), split=SPLIT)
    assert not (tmp_path / "executed").exists()


@pytest.mark.command
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
