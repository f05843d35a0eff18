"""Runs of the splits of a user's own graph, through the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.runner.experiment.test_resume import (
    assert_same_weights,
    curve,
    kill_after,
    scores,
)
from tests.test_configs import resolved
from torch_geometric.data import Data
from torch_geometric.transforms import RandomLinkSplit

from runner.config.schema import RunConfig
from runner.data import node_split
from runner.data.node_split import NewNodes
from runner.experiment.parts import assemble
from runner.training.ranks import ALONE

NODES = 60
PAIRS = torch.combinations(torch.arange(NODES)).tolist()
EDGES = [pair for pair in PAIRS if (pair[0] * 31 + pair[1] * 17) % 23 < 3]
RUN = (
    "dataset=edges", "dataset.path=graph.csv", "tracker=none", "train.batch_size=16",
    "encoder.hidden=8", "hardware.threads=1",
)  # fmt: skip
NEW_NODES = (
    *RUN, "protocol=new_nodes", "protocol.split.valid=0.1", "dataset.features=nodes.npy",
    "model=ncnc", "model.edge_dropout=0.2",
)  # fmt: skip


@pytest.fixture
def graph(tmp_path) -> Path:
    (tmp_path / "graph.csv").write_text("\n".join(f"{u},{v}" for u, v in EDGES))
    np.save(tmp_path / "nodes.npy", np.random.default_rng(0).random((NODES, 4), dtype=np.float32))
    return tmp_path


def read(folder: Path, name: str = "meta.json"):
    return json.loads((folder / name).read_text())


def end_in_the_same_bits(runner, monkeypatch, root: Path, *arguments: str) -> Path:
    """The run of these arguments; killed in its second epoch and resumed it is the same."""
    arguments = (*arguments, "train.epochs=3")
    code, _, err = runner(*arguments, "hydra.run.dir=whole")
    assert code == 0, err
    with monkeypatch.context() as patch:
        kill_after(patch, 20)
        assert runner(*arguments, "hydra.run.dir=cut", "train.checkpoint_steps=3")[0] == 1
    torch.manual_seed(99)
    code, _, err = runner(f"resume={root / 'cut'}")
    assert code == 0, err
    whole, cut = root / "whole", root / "cut"
    assert scores(cut) == scores(whole) and curve(cut) == curve(whole)
    assert_same_weights(cut, whole)
    assert len(read(cut)["resumes"]) == 1
    return whole


def test_new_nodes(runner, graph, monkeypatch):
    whole = end_in_the_same_bits(runner, monkeypatch, graph, *NEW_NODES)
    meta = read(whole)
    assert meta["test_graph"] == read(whole, "summary.json")["test_graph"]
    assert meta["test_graph"] == "training and support edges"
    assert meta["sizes"]["links"] == len(EDGES) > meta["sizes"]["training_links"]
    assert meta["data"]["read"]["held-out nodes"] == {"validation": 6, "test": 6}
    assert not any(meta["data"]["audit"].values())


def test_new_nodes_are_not_there_in_training(graph):
    """They have no link, and stand in no negative."""
    parts = assemble(RunConfig.read(resolved(*NEW_NODES)), graph / "run", ALONE)
    new, task = parts.data.new_nodes, parts.training.task
    assert len(new) >= 12 and task.train_graph.degree()[new].sum() == 0
    batches = list(parts.training.sampler.epoch())
    for pairs in (batch.negatives for batch in batches):
        assert not torch.isin(pairs, new).any()
    assert (task.test_graph.degree()[new] > 0).float().mean() > 0.9


@pytest.mark.parametrize("more", [[], ["encoder.sparse_embedding=true"]])
def test_new_nodes_are_refused_for_learned_embeddings(runner, graph, more):
    arguments = [a for a in NEW_NODES if "features" not in a]
    code, _, err = runner(*arguments, "train.epochs=1", *more)
    assert code == 1 and "their embeddings would never be learned; give every node" in err
    assert "dataset.features" in err and "Traceback" not in err


def test_new_nodes_are_scored_without_embeddings(runner, graph):
    """Common neighbours of a new node are those of its support links."""
    code, _, err = runner(*RUN[:3], "protocol=new_nodes", "model=cn", "hydra.run.dir=run")
    assert code == 0, err
    assert read(graph / "run", "summary.json")["test"]["mrr"] > 0.01


@pytest.mark.parametrize(
    ("overlap", "words"),
    [
        ("test_in_test_support", "test links in test support"),
        ("test_in_train", "test links in train"),
        ("test_negative_in_valid_support", "test negative links in valid support"),
    ],
)
def test_a_planted_leak_is_found(runner, graph, monkeypatch, overlap, words):
    original = NewNodes.split

    def leaky(self, whole):
        split = original(self, whole)
        part, place = overlap.split("_in_")
        scored = split.test.negative if "negative" in part else split.test.positive
        grown = torch.cat([getattr(split, place), scored[:, :2].flip(0)], dim=1)
        return node_split.Split(**{**vars(split), place: grown})

    monkeypatch.setattr(NewNodes, "split", leaky)
    code, _, err = runner(*NEW_NODES, "train.epochs=1")
    assert code == 1 and f"2 rows are {words}" in err and "protocol.permitted_overlaps" in err


FILES = (
    "dataset=edges", "dataset.path=train.csv", "dataset.valid=valid.csv", "dataset.test=test.csv",
    "protocol=files", "tracker=none", "train.batch_size=16", "encoder.hidden=8",
    "hardware.threads=1", "model=ncnc", "model.edge_dropout=0.2",
)  # fmt: skip
TRAIN, VALID, TEST = EDGES[:130], EDGES[130:150], EDGES[150:]


@pytest.fixture
def files(tmp_path) -> Path:
    """A file a part; the nodes are called as they are numbered."""
    for name, pairs in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        write(tmp_path / f"{name}.csv", pairs)
    return tmp_path


def write(file: Path, pairs) -> None:
    file.write_text("source,target\n" + "\n".join(f"{u},{v}" for u, v in pairs))


def test_files(runner, files, monkeypatch):
    whole = end_in_the_same_bits(runner, monkeypatch, files, *FILES)
    meta = read(whole)
    assert meta["sizes"]["links"] == len(EDGES) and meta["sizes"]["training_links"] == len(TRAIN)
    assert meta["data"]["read"]["negatives drawn"] == {"valid": len(VALID), "test": len(TEST)}
    assert meta["test_graph"] == "training edges"
    log = (whole / "run.log").read_text()
    assert f"drew {len(VALID)} negatives for the valid part" in log


def test_a_run_of_files_that_have_moved(runner, files, monkeypatch):
    code, _, err = runner(*FILES, "train.epochs=1", "hydra.run.dir=run")
    assert code == 0, err
    (files / "elsewhere").mkdir()
    monkeypatch.chdir(files / "elsewhere")
    code, _, err = runner("resume=../run", "train.epochs=2")
    assert code == 0, err
    (files / "valid.csv").rename(files / "moved.csv")
    code, _, err = runner("resume=../run", "train.epochs=3", "dataset.valid=../moved.csv")
    assert code == 0, err
    write(files / "moved.csv", VALID[:-1])
    code, _, err = runner("resume=../run", "train.epochs=4")
    assert code == 1 and "the dataset has changed" in err


@pytest.mark.parametrize(
    ("name", "pairs", "overlap"),
    [
        ("valid", [*VALID, *TRAIN[:2]], "valid_in_train"),
        ("test", [*TEST, *(pair[::-1] for pair in VALID[:2])], "test_in_valid"),
        ("test_negatives", [*TEST[:2], *[p for p in PAIRS if p not in EDGES][:40]],
         "test_negative_in_test"),
    ],
)  # fmt: skip
def test_parts_that_overlap(runner, files, name, pairs, overlap):
    write(files / f"{name}.csv", pairs)
    arguments = (*FILES, f"dataset.{name}={name}.csv", "train.epochs=1")
    code, _, err = runner(*arguments)
    words = overlap.replace("_in_", " links in ").replace("_", " ")
    assert code == 1 and f"2 rows are {words}" in err and "protocol.permitted_overlaps" in err
    code, _, err = runner(*arguments, f"protocol.permitted_overlaps=[{overlap}]")
    assert code == 0, err


def test_a_saved_split(runner, tmp_path):
    split = RandomLinkSplit(num_val=0.1, num_test=0.2, is_undirected=True)
    both = torch.tensor([*EDGES, *(pair[::-1] for pair in EDGES)]).T
    torch.save(split(Data(edge_index=both, num_nodes=NODES)), tmp_path / "triple.pt")
    arguments = ("dataset=edges", "dataset.path=triple.pt", *FILES[5:], "train.epochs=1")
    code, _, err = runner(*arguments, "protocol=files", "hydra.run.dir=run")
    assert code == 0, err
    assert read(tmp_path / "run")["sizes"]["links"] == len(EDGES)
    code, _, err = runner(*arguments)
    assert code == 1 and "give protocol=files" in err


def test_files_and_protocol_belong_together(runner, files):
    code, _, err = runner(*FILES, "protocol=random", "run.dry=true")
    assert code == 1 and "give protocol=files" in err
    code, _, err = runner(*FILES[:2], "protocol=files", "model=ncn", "run.dry=true")
    assert code == 1 and "give dataset.valid=… and dataset.test=…" in err
    code, out, err = runner(*FILES, "run.dry=true")
    assert code == 0 and f"{len(EDGES)} links" in out, err
