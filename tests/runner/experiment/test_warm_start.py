"""`train.init_from`: runs that begin with what another has learned."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.conftest import run_folders
from tests.runner.experiment.test_resume import assert_same_weights, curve, kill_after

from runner.records.folder import RunFolder

QUICK = ("dataset=lesmis", "tracker=none", "encoder.hidden=8", "train.epochs=2")


def weights(folder: Path, name: str = "best") -> dict:
    return torch.load(folder / "checkpoints" / f"{name}.pt", weights_only=True)["model"]


@pytest.fixture
def ncn(copied) -> Path:
    return copied("outputs/lesmis/ncn/first", "model=ncn", *QUICK)


def test_an_ncnc_takes_the_weights_of_an_ncn(runner, tmp_path, ncn):
    """The encoder's learning rate is 0: after training it is what the NCN's was."""
    code, _, err = runner(
        "model=ncnc", *QUICK, "hydra.run.dir=warm", f"train.init_from={ncn}", "train.lr_encoder=0"
    )
    assert code == 0, err
    before, after = weights(ncn), weights(tmp_path / "warm", "last")
    encoder = [name for name in before if name.startswith("encoder.")]
    assert encoder and all(torch.equal(before[name], after[name]) for name in encoder)
    name = "predictor.head.0.weight"
    moved = after[name.replace("predictor.", "predictor.ncn.")]
    assert not torch.equal(moved, before[name])
    assert (moved - before[name]).abs().max() < 0.2  # a few steps of Adam from there
    meta = json.loads((tmp_path / "warm" / "meta.json").read_text())
    run_id = json.loads((ncn / "meta.json").read_text())["run_id"]
    assert meta["init_from"] == {"folder": str(ncn), "run_id": run_id, "mode": "weights"}


def test_an_untrained_start_scores_as_its_source(runner, tmp_path, ncn):
    code, _, err = runner(
        "model=ncn", *QUICK, "hydra.run.dir=same", f"train.init_from={ncn}", "train.epochs=0"
    )
    assert code == 0, err
    summary = json.loads((ncn / "summary.json").read_text())
    same = json.loads((tmp_path / "same" / "summary.json").read_text())
    assert same["test"] == summary["test"]


def test_embeddings_become_the_features(runner, tmp_path, ncn):
    arguments = (
        "model=ncnc", *QUICK, "hydra.run.dir=on_embeddings", f"train.init_from={ncn}",
        "train.init_mode=embeddings", "encoder.layers=0", "encoder.hidden=5",
    )  # fmt: skip
    code, _, err = runner(*arguments)
    assert code == 0, err
    linear = weights(tmp_path / "on_embeddings")["encoder.input.1.weight"]
    assert linear.shape == (5, 8)


@pytest.mark.parametrize("mode", ["weights", "embeddings"])
def test_resumed_without_its_source_it_ends_in_the_same_bits(
    runner, tmp_path, monkeypatch, ncn, mode
):
    arguments = ("model=ncnc", *QUICK, "train.epochs=3", f"train.init_mode={mode}")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    code, _, err = runner(*arguments, f"train.init_from={ncn}", "hydra.run.dir=whole")
    assert code == 0, err
    with monkeypatch.context() as patch:
        kill_after(patch, 15)
        assert runner(*arguments, f"train.init_from={ncn}", "hydra.run.dir=cut")[0] == 1
    shutil.rmtree(ncn)
    code, _, err = runner(f"resume={cut}")
    assert code == 0, err
    assert curve(cut) == curve(whole)
    assert_same_weights(cut, whole)


def test_a_chain_of_embeddings(runner, tmp_path, ncn):
    common = ("encoder.layers=0", "train.init_mode=embeddings")
    assert (
        runner("model=ncn", *QUICK, *common, f"train.init_from={ncn}", "hydra.run.dir=second")[0]
        == 0
    )
    shutil.rmtree(ncn)
    code, _, err = runner(
        "model=ncn", *QUICK, *common, "train.init_from=second", "hydra.run.dir=third"
    )
    assert code == 0, err


def test_another_split_is_refused(runner, tmp_path, ncn):
    """Its training links may be test links here."""
    code, _, err = runner("model=ncnc", *QUICK, f"train.init_from={ncn}", "seed=1")
    assert code == 1 and "another split" in err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("encoder.hidden=16", r"encoder is another one (encoder.hidden)"),
        ("encoder=puresum", r"encoder is another one (encoder.convolution)"),
        ("model.last_linear=true", "have not the same weights (predictor.ncn.f_cn.7.bias"),
    ],
)
def test_another_model_is_refused(runner, tmp_path, ncn, override, message):
    code, _, err = runner("model=ncnc", *QUICK, f"train.init_from={ncn}", override)
    assert code == 1 and message in err


def test_weights_that_have_no_place_are_refused(runner):
    assert runner("model=ncn_diff", *QUICK, "train.epochs=0", "hydra.run.dir=diff")[0] == 0
    code, _, err = runner("model=ncnc", *QUICK, "train.init_from=diff")
    assert code == 1 and "predictor.f_second" in err


def test_a_damaged_source_is_one_clear_error(runner, ncn):
    (ncn / "meta.json").write_text("{")
    code, out, err = runner("model=ncnc", *QUICK, f"train.init_from={ncn}")
    assert code == 1 and "meta.json is damaged" in err and "Traceback" not in out + err


AUTO = ("model=ncnc", *QUICK, "train.init_from=auto", "protocol.warm_start_model=ncn")


def test_auto_finds_the_newest_finished_run_beside_with_the_same_seeds(runner, tmp_path, ncn):
    beside = ncn.parent
    for name, arguments in (
        ("newer", ()), ("other_split", ("seeds.split=5",)), ("killed", ()),
        ("other_protocol", ("protocol=hard", "protocol.negatives.per_positive=20")),
    ):  # fmt: skip
        code, _, err = runner("model=ncn", *QUICK, *arguments, f"hydra.run.dir={beside / name}")
        assert code == 0, err
    RunFolder(beside / "killed").status("running")
    (beside / "torn").mkdir()
    (beside / "torn" / "summary.json").write_text("[1]")
    code, out, err = runner(*AUTO)
    assert code == 0, err
    assert f"begins from {beside / 'newer'}" in out
    code, _, err = runner(*AUTO, "seed=4")
    assert code == 1 and "no finished run of ncn with seed=4" in err


def test_auto_is_nothing_where_no_warm_start_is_published(runner, tmp_path):
    code, _, err = runner("model=ncnc", *QUICK, "train.epochs=0", "train.init_from=auto")
    assert code == 0, err
    (folder,) = run_folders(tmp_path)
    assert json.loads((folder / "meta.json").read_text())["init_from"] is None


def test_a_warm_start_is_another_experiment(runner, tmp_path, ncn):
    for name, arguments in (
        ("scratch", ()), ("auto_none", ("train.init_from=auto",)),
        ("warm", (f"train.init_from={ncn}",)),
    ):  # fmt: skip
        setting = (*QUICK, "train.epochs=0", *arguments)
        assert runner("model=ncnc", *setting, f"hydra.run.dir={name}")[0] == 0

    def experiment(name):
        return json.loads((tmp_path / name / "meta.json").read_text())["experiment"]

    assert experiment("scratch") == experiment("auto_none") != experiment("warm")
