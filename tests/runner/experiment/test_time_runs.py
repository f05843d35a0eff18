"""Runs that are judged by time, from the command to the folder."""

import json
import random
from pathlib import Path

import pytest
import torch
from tests.conftest import run_folders
from tests.test_configs import resolved

from runner.config.schema import RunConfig
from runner.experiment.parts import assemble
from runner.training.ranks import ALONE

QUICK = (
    "dataset=edges", "dataset.path=graph.csv", "tracker=none", "model=ncn", "encoder.hidden=8",
    "train.epochs=2",
)  # fmt: skip


@pytest.fixture(autouse=True)
def graph(tmp_path: Path) -> None:
    """Contacts of two years, some of them again and again."""
    chance = random.Random(2)
    rows = []
    for n in range(900):
        known = 40 + n // 30
        u = chance.randrange(known)
        v = (u + chance.randrange(1, 12)) % known
        rows.append(f"p{u},p{v},{2019 + n // 450}-{n % 450 // 40 + 1:02d}-{n % 28 + 1:02d}")
    chance.shuffle(rows)
    (tmp_path / "graph.csv").write_text("from,to,date\n" + "\n".join(rows) + "\n")


def ended_well(result: tuple[int, str, str]) -> str:
    code, out, err = result
    assert code == 0, err
    return out


def content(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def test_a_run_by_time(runner, tmp_path):
    out = ended_well(runner(*QUICK, "protocol=time"))
    assert "split by time: validation from 2020-" in out and "leak audit" in out
    (folder,) = run_folders(tmp_path / "outputs")
    meta, summary = content(folder, "meta.json"), content(folder, "summary.json")
    told = meta["data"]["read"]["time split"]
    assert min(told["seen before"]) > 0 and min(told["new nodes"]) > 0
    assert meta["data"]["audit"]["test_in_train"] == meta["data"]["audit"]["test_in_valid"] == 0
    assert summary["test_graph"] == "training and validation edges"

    ended_well(runner(f"resume={folder}", "train.epochs=3"))
    assert content(folder, "summary.json")["epochs"] == 3
    ended_well(runner(*QUICK, "protocol=random", "hydra.run.dir=other"))
    other = content(tmp_path / "other", "meta.json")
    assert other["data"]["fingerprint"] != meta["data"]["fingerprint"]
    assert other["data"]["graph"] == meta["data"]["graph"]


@pytest.mark.parametrize("protocol", ["time", "random"])
def test_nodes_that_come_later_are_in_no_training_negative(tmp_path, protocol):
    config = RunConfig.read(resolved(*QUICK, f"protocol={protocol}"))
    parts = assemble(config, tmp_path / "run", ALONE)
    data, batches = parts.data, list(parts.training.sampler.epoch())
    later = torch.ones(data.num_nodes, dtype=torch.bool)
    later[data.train] = False
    negatives = torch.cat([batch.negatives for batch in batches], dim=1)
    if protocol == "time":
        assert later.sum() > 3 and not later[negatives].any()
        assert torch.equal(data.new_nodes, later.nonzero().squeeze(1))
    else:
        assert not len(data.new_nodes)


def test_repeated_links_may_stay(runner, tmp_path):
    dates = ("protocol.split.valid_from=2020-06-01", "protocol.split.test_from=2020-09-01")
    out = ended_well(runner(*QUICK, "protocol=time", "protocol.split.repeated=keep", *dates))
    assert "validation from 2020-06-01 00:00:00, test from 2020-09-01 00:00:00 (UTC)" in out
    assert "rows are test links in train, as the protocol permits" in out
    (folder,) = run_folders(tmp_path / "outputs")
    assert content(folder, "meta.json")["data"]["audit"]["test_in_valid"] > 0


def test_a_dataset_without_times_is_refused(runner):
    code, _, err = runner("dataset=lesmis", *QUICK[2:], "protocol=time")
    assert code == 1 and "protocol=time: the links of this graph have no times" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("protocol.split.valid=0.1", "protocol.split.test_from=2020-09-01"), "valid_from: give"),
        (("protocol.split.repeated=maybe",), "protocol.split.repeated"),
        (("dataset.columns.time=from",), "has 'p"),
    ],
)
def test_what_cannot_be_cut_is_one_line(runner, tmp_path, arguments, said):
    code, _, err = runner(*QUICK, "protocol=time", *arguments)
    assert code != 0 and said in err and "Traceback" not in err
