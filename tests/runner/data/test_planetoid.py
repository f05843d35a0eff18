import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

from runner.data.planetoid import planetoid
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=2.0, test_negatives=1.0)


def write_raw(folder: Path, name: str = "cora") -> None:
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
        (folder / f"ind.{name}.{part}").write_bytes(pickle.dumps(content))
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
