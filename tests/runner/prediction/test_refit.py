"""`runner refit=<run folder>`: that run's config on all links."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import run_folders
from tests.runner.experiment.test_protocols import NEW_NODES, NODES, graph  # noqa: F401
from tests.runner.experiment.test_resume import assert_same_weights, curve, kill_after, weights

import runner as public
from runner.comparison.collect import collect
from runner.errors import RunnerError
from runner.records.folder import RunFolder
from runner.records.summary import read_summary
from runner.storage.seal import read_lines, sealed_lines

PLAIN = ("dataset=lesmis", "tracker=none")
QUICK = (*PLAIN, "encoder.hidden=8", "train.epochs=5")
PAIRS = [("Cosette", "Javert"), ("Valjean", "Napoleon")]


@pytest.fixture
def source(copied) -> Path:
    return copied("source", "model=ncnc", *QUICK)


def refitted(runner, source: Path, *more: str) -> Path:
    place = source.with_name(f"refit_of_{source.name}")
    code, out, err = runner(f"refit={source}", f"hydra.run.dir={place}", *more)
    assert code == 0, err
    assert "on all links, from a fresh start and without validation" in out
    return place


def test_all_links_are_trained_on_for_the_best_epochs_number(runner, source):
    best = read_summary(source)["best_epoch"]
    folder = refitted(runner, source)
    meta, summary = RunFolder(folder).meta(), read_summary(folder)
    assert meta["sizes"]["training_links"] == meta["sizes"]["links"] == 254
    run_id = RunFolder(source).meta()["run_id"]
    assert meta["refit_of"] == {"folder": str(source), "run_id": run_id, "best_epoch": best}
    assert summary["epochs"] == summary["best_epoch"] == best
    assert (summary["valid"], summary["test"], summary["select"]) == ({}, {}, None)
    assert (folder / "run.log").read_text().count("there is no validation and no test") == 1

    before, run = public.load(source), public.load(folder)
    assert run._trained.graphs[2].num_entries == 2 * 254
    assert run.score(PAIRS).shape == (2,) and run.density == before.density
    assert "Valjean" not in set(run.top("Valjean", 50)["target"])
    # A run with these overrides is the same.
    other = source.with_name("again")
    code, _, err = runner(*RunFolder(folder).overrides(), f"hydra.run.dir={other}")
    assert code == 0, err
    assert_same_weights(folder, other)


def test_a_report_of_nodes_is_not_asked_for(runner, copied):
    refitted(runner, copied("reporting", "model=ncn", *QUICK, "run.node_report=true"))


def test_patience_ends_no_refit(runner, copied):
    """Without validation no epoch is worse, but those that are not evaluated are no better."""
    more = ("train.patience=1", "train.evaluate_every=2")
    source = copied("patient", "model=gae", *QUICK, *more)
    assert read_summary(refitted(runner, source, "train.epochs=4"))["epochs"] == 4


def test_without_a_folder_it_lies_beside_other_runs(runner, source, tmp_path):
    before = set(run_folders(tmp_path))
    assert runner(f"refit={source}")[0] == 0
    (folder,) = set(run_folders(tmp_path)) - before
    assert folder.parent == tmp_path / "outputs" / "lesmis" / "ncnc"


def test_probabilities_are_those_of_the_run_and_marked_so(runner, source):
    wanted = public.load(source).calibrate("isotonic")
    folder = refitted(runner, source)
    run = public.load(folder)
    assert run.calibration.parameters == wanted.parameters
    assert run.calibration.taken_from == RunFolder(folder).meta()["refit_of"]
    assert wanted.taken_from is None
    found = run.score(PAIRS, probability=True, prior=0.5)
    assert np.array_equal(found, wanted.probability(run.score(PAIRS), 0.5))
    for ask in (lambda: run.calibrate("logistic"), run.evaluate):
        with pytest.raises(RunnerError, match="it was refitted from"):
            ask()


def test_killed_and_resumed_it_ends_in_the_same_bits(runner, source, monkeypatch):
    """Also where the run that it is of is gone by then."""
    more = ("train.epochs=3", "train.checkpoint_steps=2")
    small = source.with_name("small")
    arguments = ("model=gae", *QUICK, "train.batch_size=32", f"hydra.run.dir={small}")
    assert runner(*arguments)[0] == 0
    whole = refitted(runner, small, *more)
    with monkeypatch.context() as patch:
        kill_after(patch, 12)
        assert runner(f"refit={small}", "hydra.run.dir=cut", *more)[0] == 1
    shutil.rmtree(small)
    torch.manual_seed(99)
    code, _, err = runner("resume=cut")
    assert code == 0, err
    cut = Path("cut")
    assert curve(cut) == curve(whole)
    assert_same_weights(cut, whole)
    assert public.load(cut).calibration == public.load(whole).calibration


def test_it_is_no_repeat_of_the_run_and_compare_shows_no_metrics(runner, source, tmp_path):
    folder = refitted(runner, source)
    runs = {run.folder: run for run in collect([tmp_path])}
    assert runs[folder].experiment != runs[source].experiment
    assert runs[folder].result is None and runs[folder].problem == "not evaluated (evaluator=none)"
    assert runs[folder].graph == runs[source].graph


@pytest.mark.parametrize("mode", ["weights", "embeddings"])
def test_it_begins_from_what_the_run_began_from(runner, source, mode):
    """The learning rates are 0: after training the weights are those of the start."""
    first = source.with_name("first")
    rates = ("train.lr_encoder=0", "train.lr_predictor=0")
    assert runner("model=gae", *QUICK, f"hydra.run.dir={first}")[0] == 0
    begun = source.with_name("begun")
    code, _, err = runner(
        "model=gae", *QUICK, *rates, f"train.init_from={first}", f"train.init_mode={mode}",
        f"hydra.run.dir={begun}",
    )  # fmt: skip
    assert code == 0, err
    start = weights(first, "best.pt")
    shutil.rmtree(first)
    folder = refitted(runner, begun)
    meta = RunFolder(folder).meta()
    assert meta["init_from"] == RunFolder(begun).meta()["init_from"]
    if mode == "weights":
        after = weights(folder)
        assert all(torch.equal(start[name], after[name]) for name in start)
    assert public.load(folder).score(PAIRS).shape == (2,)


def test_nodes_that_came_late_are_there_now(runner, graph):  # noqa: F811
    code, _, err = runner(*NEW_NODES, "train.epochs=2", "hydra.run.dir=late")
    assert code == 0, err
    folder = refitted(runner, graph / "late")
    data = public.load(folder)._trained.data
    assert len(data.new_nodes) == 0 and data.train.unique().numel() == NODES
    links = RunFolder(folder).meta()["sizes"]
    assert links["training_links"] == RunFolder(graph / "late").meta()["sizes"]["links"]


def test_a_later_warm_start_does_not_take_a_refit(copied, runner, tmp_path):
    from runner.config.schema import RunConfig
    from runner.experiment.warm_start import _is_repeat

    source = copied("outputs/lesmis/gae/first", "model=gae", *QUICK)
    folder = refitted(runner, source)
    config = RunConfig.read(RunFolder(source).config())
    assert _is_repeat(source / "summary.json", config)
    assert not _is_repeat(folder / "summary.json", config)


def refusal(runner, *arguments: str) -> str:
    code, _, err = runner(*arguments)
    assert code == 1 and "Traceback" not in err
    return err


def test_runs_that_have_no_refit(runner, source, made_once, tmp_path):
    for command, message in (
        (("model=cn", *PLAIN), "cn has nothing to train, so no refit; runner.load("),
        (("model=gae", *QUICK, "evaluator=none"), "no best epoch by validation (evaluator=none)"),
    ):
        assert message in refusal(runner, f"refit={made_once(*command)}")
    again = refitted(runner, source)
    assert "trained on all links already" in refusal(runner, f"refit={again}")
    status = json.loads((source / "status.json").read_text())
    RunFolder(source).write_json("status.json", {**status, "status": "interrupted"})
    found = refusal(runner, f"refit={source}")
    assert "unfinished (its status is interrupted)" in found and f"resume={source}" in found
    RunFolder(source).write_json("status.json", {**status, "status": "done"})
    (source / "checkpoints" / "best.pt").unlink()
    assert "has no weights (checkpoints/best.pt is missing)" in refusal(runner, f"refit={source}")
    assert not list((tmp_path / "outputs").rglob("config.yaml"))


def test_a_run_without_training_and_a_pretraining(runner, source):
    place = source.with_name("untrained")
    arguments = ("model=ncnc", *PLAIN, "encoder.hidden=8", "train=none")
    code, _, err = runner(*arguments, f"train.init_from={source}", f"hydra.run.dir={place}")
    assert code == 0, err
    assert "has trained no epoch (train.epochs=0)" in refusal(runner, f"refit={place}")

    trust = "objective._target_=tests.test_contracts.Reconstruction"
    pretraining = (*PLAIN, "model=none", "evaluator=none", trust, "train.epochs=1")
    code, _, err = runner(*pretraining, "hydra.run.dir=pretraining")
    assert code == 0, err
    assert "runs tests.test_contracts" in refusal(runner, "refit=pretraining")
    found = refusal(runner, "refit=pretraining", trust)
    assert "a pretraining (model=none) learns an encoder for other runs" in found


def test_a_class_that_is_not_ours_is_not_run(runner, source):
    config = source / "config.yaml"
    text = read_lines(config.read_text()).replace("runner.models.ncnc.NCNC", "os.system")
    config.write_text(sealed_lines(text))
    assert "runs os.system (model._target_)" in refusal(runner, f"refit={source}")


def test_mistakes_of_the_command(runner, source):
    for arguments, message in (
        (["refit=none"], "refit=" ),
        ([f"refit={source}", "refit=b"], "refit takes one run folder"),
        ([f"refit={source}", "-m"], "refit takes one run folder"),
        ([f"refit={source}", "resume=b"], "refit takes one run folder"),
        ([f"refit={source}", "model=cn"], "model=cn: a resumed run keeps its own config"),
        ([f"refit={source}", f"hydra.run.dir={source}"], "already holds a run"),
        (["refit=latest"], "no run in"),
        (["train.all_links=true", "model=gae", *QUICK], "give evaluator=none, or leave it out"),
    ):  # fmt: skip
        assert message in refusal(runner, *arguments)
