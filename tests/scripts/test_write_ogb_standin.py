import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts.write_ogb_standin import generate, main, write_standin

SCALE = 0.002


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_standin(folder, scale=SCALE, seed=0)
    return folder


@pytest.fixture(scope="module")
def data():
    return generate(SCALE, seed=0)


def load_with_ogb(root: Path):
    """OGB's own loader, allowed to read just what its files need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ogb.linkproppred import PygLinkPropPredDataset
        from torch_geometric.data.data import Data, DataEdgeAttr, DataTensorAttr
        from torch_geometric.data.storage import GlobalStorage

    allowed = [Data, DataEdgeAttr, DataTensorAttr, GlobalStorage, np.ndarray, np.dtype]
    allowed += [np.dtypes.Int64DType, np._core.multiarray._reconstruct]
    with torch.serialization.safe_globals(allowed):
        dataset = PygLinkPropPredDataset("ogbl-collab", root=str(root / "ogb"))
        return dataset[0], dataset.get_edge_split()


def test_ogb_loads_what_was_written(root, data):
    graph, splits = load_with_ogb(root)
    rows = len(data.train["edge"])
    assert graph.num_nodes == len(data.features)
    assert graph.x.dtype == torch.float32
    assert torch.allclose(graph.x, torch.from_numpy(data.features).float(), atol=1e-4)
    assert graph.edge_index.shape == (2, 2 * rows)  # OGB adds the inverse of every row
    assert torch.equal(graph.edge_index[:, ::2].T, torch.from_numpy(data.train["edge"]))
    assert graph.edge_year.shape == graph.edge_weight.shape == (2 * rows, 1)
    for name, split in splits.items():
        expected = getattr(data, name)
        assert split.keys() == expected.keys()
        for key, tensor in split.items():
            assert tensor.dtype == torch.int64
            assert torch.equal(tensor, torch.from_numpy(expected[key])), (name, key)


def test_sizes_follow_the_real_dataset(data):
    assert data.features.shape == (472, 128)
    assert data.train["edge"].shape == (1935 + 423, 2)
    assert data.valid["edge"].shape == (120, 2) and data.test["edge"].shape == (93, 2)
    assert data.valid["edge_neg"].shape == data.test["edge_neg"].shape == (200, 2)


def keys(edge):
    low, high = np.sort(edge, axis=1).T
    return low * 10**6 + high


def test_pairs_repeat_over_the_years_but_not_within_one(data):
    pair, year = keys(data.train["edge"]), data.train["year"]
    assert len(np.unique(pair)) == 1935
    assert len(np.unique(pair * 10**4 + year)) == len(pair)
    assert year.min() >= 1963 and year.max() == 2017
    assert (np.diff(data.train["edge"]) > 0).mean() == pytest.approx(0.5, abs=0.1)


def test_later_years_repeat_some_pairs_and_negatives_are_none(data):
    train, valid, test = (keys(getattr(data, name)["edge"]) for name in ("train", "valid", "test"))
    assert len(np.unique(valid)) == 120 and len(np.unique(test)) == 93
    assert np.isin(valid, train).sum() == 36  # 30 %
    assert np.isin(test, np.concatenate([train, valid])).sum() == 28
    assert set(data.valid["year"]) == {2018} and set(data.test["year"]) == {2019}
    negatives = np.concatenate([data.valid["edge_neg"], data.test["edge_neg"]])
    assert len(np.unique(keys(negatives))) == 400
    assert (negatives[:, 0] != negatives[:, 1]).all()
    assert not np.isin(keys(negatives), np.concatenate([train, valid, test])).any()


def test_the_seed_decides_every_byte(tmp_path):
    def contents(name, seed):
        folder = write_standin(tmp_path / name, scale=0.001, seed=seed)
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}

    one, same, other = contents("one", 0), contents("same", 0), contents("other", 1)
    assert one == same
    assert one.keys() == other.keys() and one != other


def test_the_command_never_overwrites(tmp_path, capsys):
    folder = tmp_path / "ogb" / "ogbl_collab"
    folder.mkdir(parents=True)
    assert main(["--root", str(tmp_path), "--scale", "0.001"]) == 1
    assert "may be real" in capsys.readouterr().err
    assert list(tmp_path.rglob("*")) == [folder.parent, folder]


@pytest.mark.parametrize("scale", ["0", "0.0001", "2", "nan"])
def test_a_scale_that_cannot_be_is_refused(tmp_path, capsys, scale):
    assert main(["--root", str(tmp_path), "--scale", scale]) == 1
    assert "give a number from 0.001 to 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    assert main(["--root", str(tmp_path), "--scale", "0.001"]) == 1
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.rglob("*")) == [tmp_path / "ogb"]


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    assert main(["--root", str(tmp_path), "--scale", "0.001", "--seed", "3"]) == 0
    assert "ogb/ogbl_collab: written in" in capsys.readouterr().out
    release = tmp_path / "ogb" / "ogbl_collab" / "RELEASE_v1.txt"
    assert "not the real dataset" in release.read_text() and "--seed 3" in release.read_text()


@pytest.mark.parametrize("dataset", ["ogbl-ppa", "ogbl-citation2"])
def test_the_shapes_of_large_datasets_are_read_and_trained_on(tmp_path, dataset, runner):
    assert main(["--root", str(tmp_path), "--dataset", dataset, "--scale", "0.001"]) == 0
    code, _, err = runner(
        "model=ncn", f"dataset={dataset}", f"dataset.root={tmp_path}", "tracker=none",
        "train.epochs=1", "train.batch_size=10000", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    sizes = json.loads(Path("run/meta.json").read_text())["sizes"]
    nodes, links = {"ogbl-ppa": (576, 21_232), "ogbl-citation2": (2928, 30_388)}[dataset]
    assert (sizes["nodes"], sizes["training_links"]) == (nodes, links)
