"""Miniatures in the exact layout of the Open Graph Benchmark, and the real ogbl-ddi."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from runner.data.ogb import ogb_link
from runner.errors import RunnerError

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
    assert data.train.shape == (2, 87)
    assert data.features.dtype == torch.float32 and data.num_categories is None
    assert np.allclose(data.features.numpy(), features)


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
    processed = kept / "ogbl_ddi" / "processed" / "geometric_data_processed.pt"
    processed.write_bytes(b"damaged")
    assert load(tmp_path, "ogbl-ddi", "node_id").fingerprint == first.fingerprint


def test_changed_raw_files_are_read_anew(tmp_path):
    folder = write(tmp_path, "ogbl-ppa", "throughput", undirected(), np.eye(NODES, dtype=np.int64))
    first = load(tmp_path, "ogbl-ppa", "argmax")
    species = np.eye(NODES, dtype=np.int64)[::-1]
    write_csv(folder / "raw" / "node-feat.csv.gz", species)
    os.utime(folder / "raw" / "node-feat.csv.gz", (1, 1))
    assert load(tmp_path, "ogbl-ppa", "argmax").fingerprint != first.fingerprint


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

    monkeypatch.setattr("ogb.linkproppred.dataset_pyg.decide_download", no_network)
    with pytest.raises(RunnerError, match=r"cannot be downloaded \(OSError\).*raw/edge\.csv\.gz"):
        load(tmp_path, "ogbl-ddi", "node_id")
    assert not (tmp_path / "ogb" / "ogbl_ddi").exists()


def test_a_question_of_ogb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "ogb.linkproppred.dataset_pyg.decide_download",
        lambda url: input("This will download 3.00GB. Will you proceed? (y/N)\n"),
    )
    with pytest.raises(RunnerError, match=r"OGB asks «This will download 3\.00GB"):
        load(tmp_path, "ogbl-ddi", "node_id")


def test_damaged_files_are_named(tmp_path):
    folder = write(tmp_path, "ogbl-ddi", "target", undirected())
    (folder / "split" / "target" / "valid.pt").write_bytes(b"damaged")
    with pytest.raises(RunnerError, match="are damaged or not ogbl-ddi's"):
        load(tmp_path, "ogbl-ddi", "node_id")
    assert list((tmp_path / "cache" / "ogb").iterdir()) == []


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def test_code_in_a_split_is_refused(tmp_path):
    folder = write(tmp_path, "ogbl-ddi", "target", undirected())
    torch.save({"edge": Evil(tmp_path / "executed")}, folder / "split" / "target" / "train.pt")
    with pytest.raises(RunnerError, match="damaged"):
        load(tmp_path, "ogbl-ddi", "node_id")
    assert not (tmp_path / "executed").exists()


def test_an_unknown_name(tmp_path):
    with pytest.raises(RunnerError, match="ogbl-nothing: OGB has no such dataset; known: ogbl-ppa"):
        load(tmp_path, "ogbl-nothing", "stored")


@pytest.mark.skipif("RUNNER_DATA" not in os.environ, reason="RUNNER_DATA is not set")
def test_the_real_ddi(tmp_path):
    data = ogb_link(
        name="ogbl-ddi",
        root=os.environ["RUNNER_DATA"],
        cache=str(tmp_path),
        features="node_id",
    )
    assert data.num_nodes == 4267 and data.train.shape == (2, 1_067_911)
    assert data.valid.positive.shape == data.test.positive.shape == (2, 133_489)
    assert data.valid.negative.shape[1] == 101_882 and data.test.negative.shape[1] == 95_599
