"""Whole runs on miniatures in the file layout of OGB's datasets, and on the real ogbl-ddi."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scripts.write_ogb_standin import write_layout, write_standin
from tests.conftest import run_folders

NODES, LINKS, HELD_OUT = 120, 600, 60


def links(count: int, seed: int) -> np.ndarray:
    pairs = np.random.default_rng(seed).integers(NODES, size=(3 * count, 2))
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)[:count]


TRAIN, VALID, TEST = links(LINKS, 0), links(HELD_OUT, 1), links(HELD_OUT, 2)
NEGATIVE = links(150, 3)
UNDIRECTED = {
    "train": {"edge": TRAIN},
    "valid": {"edge": VALID, "edge_neg": NEGATIVE},
    "test": {"edge": TEST, "edge_neg": NEGATIVE},
}


def write(root: Path, name: str, split_type: str, splits: dict, features=None) -> None:
    write_layout(
        root / "ogb" / name.replace("-", "_"),
        num_nodes=NODES,
        edges=TRAIN,
        edge_columns={},
        features=features,
        splits=splits,
        split_type=split_type,
        release="",
    )


def ended_well(result: tuple[int, str, str]) -> str:
    code, out, err = result
    assert code == 0, err
    return out


def content(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def weights(folder: Path, name: str = "best") -> dict:
    return torch.load(folder / "checkpoints" / f"{name}.pt", weights_only=True)["model"]


def test_collab(runner, tmp_path):
    """A multigraph of years, whose validation edges join the graph that the test sees."""
    write_standin(tmp_path, scale=0.002, seed=0)
    arguments = ("dataset=ogbl-collab", f"dataset.root={tmp_path}", "encoder.hidden=8")
    out = ended_well(
        runner("model=ncnc", *arguments, "train.epochs=2", "train.batch_size=1000", "tracker=none")
    )
    assert "valid links in train, as the protocol permits" in out
    (folder,) = run_folders(tmp_path / "outputs")
    summary, meta = content(folder, "summary.json"), content(folder, "meta.json")
    assert summary["test_graph"] == "training and validation edges"
    assert summary["select"] == "hits@50" and summary["published"]["mean"] == 66.61
    differs = {row["key"]: row["published"] for row in summary["differs"]}
    assert differs["data.nodes"] == 235868 and differs["train.epochs"] == 100
    assert "not the published setting: encoder.hidden 8, published 64" in out
    assert meta["data"]["audit"]["valid_in_train"] > 0
    # Every row is a target, a pair that meets again is one edge.
    assert meta["sizes"]["training_links"] > meta["sizes"]["undirected_edges"]


def test_ppa(runner, tmp_path):
    """Species become learned embeddings; the completion is scored in chunks."""
    species = np.arange(NODES) % 5
    write(tmp_path, "ogbl-ppa", "throughput", UNDIRECTED, np.eye(5, dtype=np.int64)[species])
    ended_well(
        runner(
            "model=ncnc", "dataset=ogbl-ppa", f"dataset.root={tmp_path}", "train.batch_size=200",
            "train.epochs=1", "protocol.permitted_overlaps=[valid_in_train]",
            "tracker=none", "encoder.hidden=8", "model.completion.chunk_size=50",
        )
    )  # fmt: skip
    (folder,) = run_folders(tmp_path / "outputs")
    assert weights(folder)["encoder.input.0.weight"].shape == (5, 8)
    assert content(folder, "summary.json")["select"] == "hits@100"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["encoder"]["layers"] == 3 and config["model"]["node_transform"] is False


def citation2(root: Path) -> None:
    def part(pairs, seed=None):
        found = {"source_node": pairs[:, 0], "target_node": pairs[:, 1]}
        if seed is None:
            return found
        drawn = np.random.default_rng(seed).integers(NODES, size=(len(pairs), 40))
        return {**found, "target_node_neg": drawn}

    splits = {"train": part(TRAIN), "valid": part(VALID, 4), "test": part(TEST, 5)}
    features = np.random.default_rng(6).random((NODES, 7)).round(4)
    write(root, "ogbl-citation2", "time", splits, features)
    year = root / "ogb" / "ogbl_citation2" / "raw" / "node_year.csv.gz"
    np.savetxt(year, np.full(NODES, 2017), fmt="%d")


def test_citation2_and_the_completion_on_its_saved_embeddings(runner, tmp_path):
    citation2(tmp_path)
    arguments = (
        "dataset=ogbl-citation2", f"dataset.root={tmp_path}", "encoder.hidden=8", "tracker=none",
        "train.epochs=2", "train.batch_size=200",
    )  # fmt: skip
    ended_well(runner("model=ncn", *arguments, "hydra.run.dir=outputs/c/ncn/first"))
    ncn = tmp_path / "outputs" / "c" / "ncn" / "first"
    config = yaml.safe_load((ncn / "config.yaml").read_text())
    assert config["sampler"]["_target_"] == "runner.training.samplers.FullGraph"
    assert config["negatives"]["_target_"] == "runner.training.negatives.RandomTargets"
    assert config["train"]["clip_norm"] == 1.0
    summary = content(ncn, "summary.json")
    assert summary["select"] == "mrr" and 0.02 < summary["test"]["mrr"] < 1
    assert content(ncn, "meta.json")["sizes"]["training_links"] == LINKS

    ended_well(
        runner(
            "model=ncnc", *arguments, "train.init_from=auto", "hydra.run.dir=outputs/c/ncnc/second"
        )
    )
    ncnc = tmp_path / "outputs" / "c" / "ncnc" / "second"
    assert weights(ncnc)["encoder.input.1.weight"].shape == (8, 8)
    assert content(ncnc, "meta.json")["init_from"]["mode"] == "embeddings"
    assert content(ncnc, "summary.json")["published"]["mean"] == 89.12


def test_ddi_completes_with_the_encoder_of_a_trained_ncn(runner, tmp_path):
    write(tmp_path, "ogbl-ddi", "target", UNDIRECTED)
    arguments = (
        "dataset=ogbl-ddi", f"dataset.root={tmp_path}", "encoder.hidden=8", "tracker=none",
        "train.batch_size=200",
    )  # fmt: skip
    ncn, ncnc = tmp_path / "outputs" / "d" / "ncn" / "a", tmp_path / "outputs" / "d" / "ncnc" / "b"
    ended_well(runner("model=ncn", *arguments, "train.epochs=2", f"hydra.run.dir={ncn}"))
    ended_well(runner("model=ncnc", *arguments, "train.init_from=auto", f"hydra.run.dir={ncnc}"))
    before, after = weights(ncn), weights(ncnc, "last")
    embedding = "encoder.input.0.weight"
    assert torch.equal(before[embedding], after[embedding])
    assert not torch.equal(before["predictor.beta"], after["predictor.ncn.beta"])
    assert content(ncnc, "summary.json")["epochs"] == 2


def test_ddi_from_scratch_says_what_it_is_not(runner, tmp_path):
    write(tmp_path, "ogbl-ddi", "target", UNDIRECTED)
    out = ended_well(
        runner(
            "model=ncnc", "dataset=ogbl-ddi", f"dataset.root={tmp_path}", "encoder.hidden=8",
            "tracker=none", "train.batch_size=200", "train.epochs=1",
        )
    )  # fmt: skip
    assert "the published ncnc on ogbl-ddi starts from a trained ncn: train.init_from=" in out
    (folder,) = run_folders(tmp_path / "outputs")
    assert content(folder, "summary.json")["published"] is None
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["train"]["lr_encoder"] == 0.0021


@pytest.mark.skipif("RUNNER_DATA" not in os.environ, reason="RUNNER_DATA is not set")
@pytest.mark.parametrize(("model", "percent"), [("cn", 17.73), ("aa", 18.61)])
def test_heuristics_on_the_real_ddi_give_the_published_figure(runner, tmp_path, model, percent):
    """Without any chance in them, they test the data, the split and the metric at once."""
    root = os.environ["RUNNER_DATA"]
    ended_well(runner(f"model={model}", "dataset=ogbl-ddi", f"dataset.root={root}", "tracker=none"))
    (folder,) = run_folders(tmp_path / "outputs")
    summary = content(folder, "summary.json")
    assert round(100 * summary["test"]["hits@20"], 2) == percent and summary["differs"] == []
