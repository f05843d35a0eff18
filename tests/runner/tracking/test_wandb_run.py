"""A whole run as W&B sees it, read back from the offline record."""

from __future__ import annotations

import json

import pytest
import torch
import wandb
from tests.conftest import run_folders
from tests.runner.experiment.test_resume import assert_same_weights, curve, scores
from tests.runner.tracking.test_wandb import leet, of_type, records, runs_in, steps

from runner.experiment import run as experiment
from runner.experiment.closing_media import collect as closing_media

QUICK = ("dataset=lesmis", "encoder.hidden=8", "model=ncn", "tracker.mode=offline")


@pytest.mark.command
def test_the_offline_record_holds_every_epoch_and_the_best_one(runner, tmp_path):
    code, out, err = runner(*QUICK, "train.epochs=4")
    wandb.teardown()
    assert code == 0, err
    (folder,) = run_folders(tmp_path)
    assert f"wandb sync {folder}/wandb" in out
    (directory,) = runs_in(folder)
    found = records(directory)
    assert steps(found) == [1, 2, 3, 4]
    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row, record in zip(logged, of_type("history", found), strict=True):
        # The record of a whole epoch: loss, gradient norm, learning rates, every metric, memory.
        assert row.items() <= record["item"].items()
        assert {"loss", "gradient_norm", "lr/encoder", "lr/predictor", "memory_gib"} <= row.keys()
    summary = json.loads((folder / "summary.json").read_text())
    last = {}
    for record in of_type("summary", found):
        last.update(record["update"])
    for split in ("valid", "test"):
        for metric, value in summary[split].items():
            assert last[f"{split}/{metric}"] == value


def shown(folder) -> dict:
    """The media of a run's last fragment, tables read from their files."""
    directory = runs_in(folder)[-1]
    row = of_type("history", records(directory))[-1]["item"]
    media = {}
    for key, value in row.items():
        if key.startswith("media/") and key.endswith("._type"):
            name = key.removesuffix("._type")
            if value == "table-file":
                media[name] = json.loads((directory / "files" / row[f"{name}.path"]).read_text())
            else:
                media[name] = {"type": value, "values": row[f"{name}.values"]}
    return media


@pytest.mark.command
def test_media_of_a_run_with_a_completion(runner, tmp_path):
    ncnc = ("dataset=lesmis", "encoder.hidden=8", "model=ncnc", "tracker.mode=offline")
    code, _, err = runner(*ncnc, "train.epochs=3", "seed=1", "hydra.run.dir=run")
    wandb.teardown()
    assert code == 0, err
    media = shown(tmp_path / "run")
    assert set(media) == {
        "media/config_diff", "media/curves_table", "media/hardest_test_pairs",
        "media/completion_probabilities_of_links", "media/completion_probabilities_of_negatives",
    }  # fmt: skip
    pairs = media["media/hardest_test_pairs"]
    rows = [dict(zip(pairs["columns"], row, strict=True)) for row in pairs["data"]]
    links, others = ([r for r in rows if r["label"] == label] for label in (1, 0))
    assert len(links) == len(others) == 50  # of 254 links a fifth
    assert [r["score"] for r in links] == sorted(r["score"] for r in links)
    assert [r["score"] for r in others] == sorted((r["score"] for r in others), reverse=True)
    # At the best epoch: the table holds every pair, so that it tells the metric.
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    first = [1 + sum(o["score"] > r["score"] for o in others) for r in links]
    tied = [sum(o["score"] == r["score"] for o in others) for r in links]
    assert not any(tied)
    assert sum(1 / rank for rank in first) / 50 == pytest.approx(summary["test"]["mrr"])
    for name in ("links", "negatives"):
        histogram = media[f"media/completion_probabilities_of_{name}"]
        assert histogram["type"] == "histogram" and sum(histogram["values"]) > 50
    changed = {row[0]: row[1] for row in media["media/config_diff"]["data"]}
    assert changed["encoder.hidden"] == "8" and changed["dataset"] == "lesmis"
    curves = media["media/curves_table"]
    assert len(curves["data"]) == 6  # validation and test of three epochs


@pytest.mark.command
def test_media_change_no_bit_of_a_run_and_none_are_made_without_a_tracker(
    runner, tmp_path, monkeypatch
):
    """Sampled completion and dropout: every generator would be moved by a draw."""
    ncnc = ("dataset=lesmis", "encoder.hidden=8", "model=ncnc2", "model.completion.keep_eval=2",
            "train.epochs=2")  # fmt: skip
    made = []
    monkeypatch.setattr(
        experiment,
        "closing_media",
        lambda *given, make=experiment.closing_media: made.append(make(*given)) or made[-1],
    )
    for name, tracker in (("without", "tracker=none"), ("with", "tracker.mode=offline"),
                          ("switched_off", "tracker.media=false")):  # fmt: skip
        assert runner(*ncnc, tracker, f"hydra.run.dir={name}")[0] == 0
        if name == "with":
            assert runner(f"resume={tmp_path / name}", "train.epochs=4")[0] == 0
        else:
            assert runner(f"resume={tmp_path / name}", "train.epochs=3")[0] == 0
            assert runner(f"resume={tmp_path / name}", "train.epochs=4")[0] == 0
    wandb.teardown()
    assert [len(media) for media in made if media] == [5, 5] and len(made) == 8
    whole = tmp_path / "without"
    for name in ("with", "switched_off"):
        assert curve(tmp_path / name) == curve(whole)
        assert scores(tmp_path / name) == scores(whole)
        assert_same_weights(tmp_path / name, whole)


@pytest.mark.command
def test_the_state_of_the_process_is_as_it_was(runner, tmp_path, monkeypatch):
    seen = []

    def watched(parts, *given, make=experiment.closing_media):
        def state():
            generators = [v.clone() for v in parts.training.generators.state().values() if len(v)]
            model = {
                k: torch.as_tensor(v).clone() for k, v in parts.training.model.state_dict().items()
            }
            return generators, model, parts.training.model.training

        before = state()
        media = make(parts, *given)
        seen.append((before, state()))
        return media

    monkeypatch.setattr(experiment, "closing_media", watched)
    keep = ("model=ncnc2", "model.completion.keep_eval=2", "dataset=lesmis", "encoder.hidden=8")
    code, _, err = runner(*keep, "train.epochs=3", "tracker.mode=offline")
    wandb.teardown()
    assert code == 0, err
    ((before, after),) = seen
    assert all(torch.equal(*pair) for pair in zip(before[0], after[0], strict=True))
    assert all(torch.equal(before[1][name], after[1][name]) for name in before[1])
    assert before[2] == after[2]


@pytest.mark.command
def test_a_heuristic_has_pairs_and_no_completion(runner, tmp_path):
    code, _, err = runner("dataset=lesmis", "model=aa", "hydra.run.dir=run")
    wandb.teardown()
    assert code == 0, err
    assert steps(records(*runs_in(tmp_path / "run"))) == [0]
    media = shown(tmp_path / "run")
    assert {"media/hardest_test_pairs", "media/config_diff"} <= set(media)
    assert not [key for key in media if "completion" in key]


@pytest.mark.command
def test_media_that_cannot_be_made_cost_a_finished_run_nothing(runner, tmp_path, monkeypatch):
    def broken(*arguments, **named):
        raise RuntimeError("out of paint")

    monkeypatch.setattr(closing_media, "hardest_pairs", broken)
    code, out, err = runner(*QUICK, "train.epochs=2", "hydra.run.dir=run")
    wandb.teardown()
    assert code == 0, err
    assert "the test pairs cannot be shown (RuntimeError: out of paint)" in out
    assert set(shown(tmp_path / "run")) == {"media/config_diff", "media/curves_table"}
    assert steps(records(*runs_in(tmp_path / "run"))) == [1, 2]


@pytest.mark.command
def test_lost_weights_of_the_best_epoch_are_said(runner, tmp_path, monkeypatch):
    def without(parts, folder, *given, make=experiment.closing_media):
        (folder.checkpoints / "best.pt").unlink()
        return make(parts, folder, *given)

    monkeypatch.setattr(experiment, "closing_media", without)
    code, out, err = runner(*QUICK, "train.epochs=2", "hydra.run.dir=run")
    wandb.teardown()
    assert code == 0, err
    assert "the media are of the last epoch's weights" in out
    assert "media/hardest_test_pairs" in shown(tmp_path / "run")


@pytest.mark.command
def test_a_stop_that_was_asked_for_leaves_media_out(runner, tmp_path, monkeypatch):
    def stopped(parts, folder, selection, stop_requested, wanted, make=experiment.closing_media):
        return make(parts, folder, selection, lambda: True, wanted)

    monkeypatch.setattr(experiment, "closing_media", stopped)
    code, out, err = runner(*QUICK, "train.epochs=2", "hydra.run.dir=run")
    wandb.teardown()
    assert code == 0, err
    assert "cannot be shown" not in out
    assert "media/hardest_test_pairs" not in shown(tmp_path / "run")


def test_a_tracker_of_ones_own_needs_no_media(runner, tmp_path, monkeypatch):
    for name in ("config_diff", "_curves_medium", "_histogram"):
        monkeypatch.setattr(closing_media, name, lambda *given: pytest.fail("nobody asked"))
    code, _, err = runner(*QUICK[:-1], "tracker=none", "train.epochs=1")
    assert code == 0, err


@pytest.mark.command
def test_jobs_of_a_sweep_carry_its_name_and_keep_it_on_a_resume(runner, tmp_path):
    sweep = ("-m", "seed=0,1", *QUICK, "train.epochs=1", "hydra.sweep.dir=outputs/spring")
    assert runner(*sweep)[0] == 0
    folders = run_folders(tmp_path / "outputs" / "spring")
    assert runner(f"resume={folders[1]}", "train.epochs=2")[0] == 0
    assert runner(*QUICK, "train.epochs=1", "hydra.run.dir=alone")[0] == 0
    wandb.teardown()
    ends = {
        directory: json.loads(leet("--summary", "--json", str(directory)))
        for folder in (*folders, tmp_path / "alone")
        for directory in runs_in(folder)
    }
    jobs = [(end["config"].get("sweep/name"), end["config"].get("sweep/job"),
             "sweep:spring" in end["tags"]) for end in ends.values()]  # fmt: skip
    assert jobs == [("spring", 0, True), ("spring", 1, True), ("spring", 1, True),
                    (None, None, False)]  # fmt: skip


@pytest.mark.command
def test_the_selection_metric_has_a_name_for_all_datasets(runner, tmp_path):
    assert runner(*QUICK, "train.epochs=3", "hydra.run.dir=run")[0] == 0
    wandb.teardown()
    (directory,) = runs_in(tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    for record in of_type("history", records(directory)):
        row = record["item"]
        for split in ("valid", "test"):
            assert row[f"selected/{split}"] == row[f"{split}/{summary['select']}"]
    end = json.loads(leet("--summary", "--json", str(directory)))["summary"]
    for split in ("valid", "test"):
        assert end[f"selected/{split}"] == summary[split][summary["select"]]
    assert "selected" not in (tmp_path / "run" / "metrics.jsonl").read_text()


@pytest.mark.command
def test_a_resumed_run_keeps_its_id_and_counts_on(runner, tmp_path):
    assert runner(*QUICK, "train.epochs=2", "hydra.run.dir=run")[0] == 0
    code, _, err = runner(f"resume={tmp_path / 'run'}", "train.epochs=4")
    wandb.teardown()
    assert code == 0, err
    meta = json.loads((tmp_path / "run" / "meta.json").read_text())
    first, second = runs_in(tmp_path / "run")
    assert steps(records(first)) == [1, 2] and steps(records(second)) == [3, 4]
    for directory in (first, second):
        (started,) = of_type("run", records(directory))
        assert started["run_id"] == meta["run_id"]


@pytest.mark.command
def test_jobs_of_a_multirun_are_runs_of_their_own_in_one_group(runner, tmp_path):
    assert runner("-m", "seed=0,1", *QUICK, "train.epochs=1")[0] == 0
    wandb.teardown()
    folders = run_folders(tmp_path / "outputs")
    started = [of_type("run", records(*runs_in(folder)))[0] for folder in folders]
    assert len({run["run_id"] for run in started}) == 2
    assert len({run["run_group"] for run in started}) == 1


@pytest.mark.command
def test_a_tracker_that_fails_stops_no_run(runner, tmp_path, monkeypatch):
    def broken(*arguments, **named):
        raise RuntimeError("the server is on fire")

    monkeypatch.setattr(wandb, "init", broken)
    code, out, err = runner(*QUICK, "train.epochs=2")
    assert code == 0, err
    assert "the tracker failed (RuntimeError: the server is on fire)" in out
    (folder,) = run_folders(tmp_path)
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 2
