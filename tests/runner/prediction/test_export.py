"""A run as a folder to share: what is in it, what is not, and that it scores the same."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas
import pytest
from safetensors.torch import load_file

import runner as public
from runner.cli.predict import main
from runner.errors import RunnerError
from runner.prediction.kept_calibration import keep
from runner.records import shared_model
from runner.records.folder import RunFolder
from runner.storage.seal import read_lines, sealed_lines
from runner.tracking.background import SafeTracker
from runner.tracking.tracker import RunInfo, Tracker

RUN = ("model=ncnc", "tracker=none", "train.epochs=2", "encoder.hidden=16")
PAIRS = [("n1", "n4"), ("n2", "n8")]


def write_graph():
    generator = np.random.default_rng(0)
    pairs = {
        tuple(sorted(p)) for p in generator.integers(40, size=(150, 2)).tolist() if p[0] != p[1]
    }
    rows = [(f"n{a}", f"n{b}") for a, b in sorted(pairs)]
    pandas.DataFrame(rows, columns=["source", "target"]).to_csv("own.csv", index=False)


@pytest.fixture
def folder(tmp_path, runner):
    write_graph()
    path = tmp_path / "own.csv"
    place = f"hydra.run.dir={tmp_path / 'run'}"
    code, _, err = runner("dataset=edges", f"dataset.path={path}", *RUN, place)
    assert code == 0, err
    return tmp_path / "run"


def test_a_shared_folder_scores_the_same_elsewhere(folder, tmp_path):
    run = public.load(folder)
    shared = run.export(tmp_path / "shared")
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "own.csv", tmp_path / "elsewhere" / "own.csv")
    shutil.move(folder, tmp_path / "moved")
    overrides = [f"dataset.path={tmp_path / 'elsewhere' / 'own.csv'}"]
    other = public.load(shared, overrides=overrides)
    assert np.array_equal(other.score(PAIRS), run.score(PAIRS))
    assert np.array_equal(other.score(PAIRS, probability=True), run.score(PAIRS, probability=True))
    assert other.metrics == public.load(tmp_path / "moved", overrides=overrides).metrics
    assert other.calibration == run.calibration
    assert main([str(shared), *overrides, "--node", "n1"]) == 0
    with pytest.raises(RunnerError, match=r"no such file; .* say dataset\.path=…"):
        public.load(shared)


def test_what_is_shared(folder, tmp_path):
    shared = public.load(folder).export(tmp_path / "shared")
    names = {path.name for path in shared.iterdir()}
    assert names == {
        "README.md", "calibration.json", "config.yaml", "meta.json", "model.safetensors",
        "nodes.csv", "summary.json",
    }  # fmt: skip
    assert all(x.numel() for x in load_file(shared / "model.safetensors").values())
    for path in shared.iterdir():
        if path.suffix != ".safetensors":
            assert str(tmp_path) not in path.read_text(), path
    assert "dataset.path" in (shared / "README.md").read_text()
    meta = json.loads((shared / "meta.json").read_text())
    assert not {"host", "command", "machine", "device"} & set(meta)


def test_places_that_are_refused(folder, tmp_path):
    run = public.load(folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(RunnerError, match="full is not empty"):
        run.export(tmp_path / "full")


def test_damaged_weights_and_classes_that_are_not_ours(folder, tmp_path):
    shared = public.load(folder).export(tmp_path / "shared")
    weights = shared / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(RunnerError, match="the weights are damaged"):
        public.load(shared)
    weights.write_bytes(content)
    config = shared / "config.yaml"
    text = read_lines(config.read_text()).replace("runner.models.ncnc.NCNC", "os.system")
    config.write_text(sealed_lines(text))
    with pytest.raises(RunnerError, match=r"os\.system"):
        public.load(shared)


def test_a_tracker_is_given_the_model(made_once, tmp_path):
    kept = []

    class Keeper(Tracker):
        wants_model = True

        def keep_model(self, write):
            write(tmp_path / "artifact")
            kept.append(sorted(path.name for path in (tmp_path / "artifact").iterdir()))

    folder = RunFolder(made_once("dataset=lesmis", *RUN))
    tracker = SafeTracker(Keeper())
    tracker.start(RunInfo(folder.path, "id", "name", "group", (), {}, resumed=False, epochs=1))
    assert tracker.wants_model
    config = folder.config()
    tracker.keep_model(lambda target: shared_model.write(folder, config, target))
    tracker.finish({}, exit_code=0)
    assert "model.safetensors" in kept[0]
    assert public.load(tmp_path / "artifact").score([("Valjean", "Javert")]).shape == (1,)


def test_wandb_keeps_it_as_an_artifact(runner, tmp_path):
    code, _, err = runner("dataset=lesmis", *RUN[:1], *RUN[2:], "tracker.model_artifact=true")
    assert code == 0, err
    assert "tracker" not in err
    staged = [path for path in (tmp_path / "wandb").rglob("*") if path.is_file()]
    assert any(b"link-runner" in path.read_bytes() for path in staged)


def test_the_place_of_the_run_that_a_calibration_is_of_is_left_out(folder, tmp_path):
    run = public.load(folder)
    of = {"folder": str(tmp_path / "first"), "run_id": "1", "best_epoch": 2}
    keep(RunFolder(folder), replace(run.calibration, taken_from=of))
    shared = public.load(folder).export(tmp_path / "shared")
    assert str(tmp_path) not in (shared / "calibration.json").read_text()
    overrides = [f"dataset.path={tmp_path / 'own.csv'}"]
    taken = public.load(shared, overrides=overrides).calibration.taken_from
    assert taken == {"run_id": "1", "best_epoch": 2}


def test_an_export_is_whole_or_nothing(folder, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_model, "_card", fail)
    before = set(tmp_path.iterdir())
    with pytest.raises(RunnerError, match="No space left"):
        public.load(folder).export(tmp_path / "shared")
    assert set(tmp_path.iterdir()) == before


def test_a_shared_folder_uses_the_cache_of_the_machine(folder, tmp_path, monkeypatch):
    shared = public.load(folder).export(tmp_path / "shared")
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "mine"))
    run = public.load(shared, overrides=[f"dataset.path={tmp_path / 'own.csv'}"])
    assert run.config["run"]["cache"] == str(tmp_path / "mine")
