"""Which runs there are, and what became of those that are not done."""

from __future__ import annotations

import json
import os
import socket

import pytest
from tests.runner.comparison.conftest import PUBLISHED, write_run

from runner.comparison.collect import collect
from runner.comparison.groups import group
from runner.errors import RunnerError
from runner.storage.locks import locked
from runner.storage.seal import sealed_json


def ledger(sweep, *jobs):
    sweep.mkdir(parents=True, exist_ok=True)
    (sweep / "sweep.yaml").write_text("name: search\n")
    defaults = {"parameters": {}, "folder": None, "attempts": 1, "result": None, "error": None}
    lines = [json.dumps({**defaults, **job}) for job in jobs]
    (sweep / "ledger.jsonl").write_text("\n".join(lines) + "\n")


def statuses(*folders):
    return sorted(run.status for run in collect(folders))


def test_a_run_counts_once_however_often_it_is_named(root, tmp_path):
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    assert len(collect([root, root / "cora", tmp_path / "link"])) == 5


def test_what_a_run_began_from_and_wandb_are_no_runs(root):
    folder = root / "cora" / "ncn" / "0"
    for inner in ("init", "wandb/offline-run/files", "checkpoints"):
        (folder / inner).mkdir(parents=True)
        (folder / inner / "status.json").write_text(sealed_json({"status": "done"}))
    assert len(collect([root])) == 5


def test_unfinished_runs_say_how_far_they_are_and_failed_ones_why(tmp_path):
    write_run(tmp_path, "ncn", 0, 0.5, status="interrupted", epochs=7)
    write_run(tmp_path, "ncn", 1, 0.5, status="failed", error="no space")
    write_run(tmp_path, "ncn", 2, 0.5, status="pruned", epochs=2)
    folder = write_run(tmp_path, "ncn", 3, 0.5, status="running")
    (folder / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    problems = {run.status: run.problem for run in collect([tmp_path])}
    problems["running"], _, written = problems["running"].partition("; last written ")
    assert written.startswith("20") and written.endswith(" UTC")
    assert problems == {
        "interrupted": "after epoch 7",
        "failed": "no space",
        "pruned": "after epoch 2",
        "running": "after epoch 2",
    }


def test_a_run_that_says_running_is_killed_if_no_process_here_is_at_it(tmp_path):
    folder = write_run(tmp_path, "ncn", 0, 0.5, status="running")
    status = {"status": "running", "error": None, "host": socket.gethostname()}
    (folder / "status.json").write_text(sealed_json(status))
    assert statuses(tmp_path) == ["killed"]
    with locked(folder):
        assert statuses(tmp_path) == ["running"]
    (folder / "status.json").write_text(sealed_json({**status, "host": "elsewhere"}))
    assert statuses(tmp_path) == ["running"]


@pytest.mark.parametrize("name", ["summary.json", "status.json"])
@pytest.mark.parametrize("text", ['{"hello": 1}', "[1]", "{", "", '{"select": "mrr", "test": 3}'])
def test_a_foreign_or_damaged_record_is_shown_as_unreadable(root, compare, name, text):
    folder = write_run(root, "ncn", 9, 0.99, published=PUBLISHED)
    (folder / name).write_text(text)
    code, out, _ = compare(root)
    assert code == 0 and "90.00 ± 2.00" in out and "left out: 1 unreadable" in out


def test_a_changed_digit_is_noticed(root):
    path = root / "cora" / "ncn" / "0" / "summary.json"
    path.write_text(path.read_text().replace("0.88", "0.98"))
    (run,) = [run for run in collect([root]) if run.status == "unreadable"]
    assert run.problem == "summary.json is damaged" and run.result is None


@pytest.mark.parametrize("text", ["a: [", "- 1", "a: {b: &x *x}", "\x00", None])
def test_a_run_with_a_damaged_config_keeps_its_result_and_says_so(tmp_path, compare, text):
    config = write_run(tmp_path, "ncn", 0, 0.5) / "config.yaml"
    config.unlink() if text is None else config.write_text(text)
    (run,) = collect([tmp_path])
    assert run.result is not None and run.settings == {} and "config.yaml is" in run.problem
    code, out, _ = compare(tmp_path)
    assert code == 0 and "note: " in out and "config.yaml is" in out


def test_a_resume_changes_the_settings(tmp_path):
    resumes = [
        {"overrides": ["train.epochs=20"]},
        {"overrides": ["train.epochs=40", "tracker=none", "hardware.threads=2"]},
    ]
    write_run(tmp_path, "ncn", 0, 0.5, meta={"resumes": resumes})
    settings = collect([tmp_path])[0].settings
    assert settings["train.epochs"] == 40 and settings["hardware.threads"] == 2
    assert settings["tracker"] == "none" and "tracker._target_" not in settings


def test_a_sweep_shows_jobs_without_a_folder_and_no_job_twice(tmp_path):
    sweep = tmp_path / "sweep"
    write_run(sweep, "ncn", 0, 0.5)
    write_run(sweep, "ncn", 1, 0.5, status="pruned")
    ledger(
        sweep,
        {"job": 0, "state": "running", "folder": "cora/ncn/0"},
        {"job": 0, "state": "done", "folder": "cora/ncn/0"},
        {"job": 1, "state": "pruned", "folder": "cora/ncn/1"},
        {"job": 2, "state": "failed", "error": "no such option", "parameters": {"model": "ncm"}},
        {"job": 3, "state": "pending", "parameters": {"model": "ncn", "train": {"epochs": 3}}},
        {"job": 4, "state": "done", "folder": "cora/ncn/gone"},
    )
    runs = collect([sweep])
    assert [run.status for run in runs] == ["done", "pruned", "failed", "pending", "missing"]
    failed, pending, missing = runs[2:]
    assert (failed.model, failed.problem, failed.name) == (
        "ncm",
        "no such option",
        f"{sweep} job 2",
    )
    assert pending.settings == {"run.model": "ncn", "train.epochs": 3}
    assert "its folder is not there" in missing.problem
    assert len(collect([tmp_path, sweep, sweep / "cora"])) == 5


def test_the_sweep_tells_of_a_run_that_was_killed(tmp_path):
    write_run(tmp_path, "ncn", 0, 0.5, status="running")
    job = {"job": 0, "state": "failed", "folder": "cora/ncn/0", "error": "killed by signal 9"}
    ledger(tmp_path, job)
    (run,) = collect([tmp_path])
    assert (run.status, run.problem) == ("failed", "killed by signal 9")


def test_a_torn_or_foreign_line_of_a_ledger_is_left_out(tmp_path):
    ledger(tmp_path, {"job": 0, "state": "pending"})
    with open(tmp_path / "ledger.jsonl", "a") as file:
        file.write('[1]\n{"state": "done"}\n{"job": 1, "state": "pen')
    assert statuses(tmp_path) == ["pending"]


def test_nothing_to_compare_is_one_clear_error(tmp_path, compare):
    with pytest.raises(RunnerError, match="no such folder"):
        collect([tmp_path / "nowhere"])
    code, out, error = compare(tmp_path)
    assert code == 2 and "no runs in" in error and not out
    write_run(tmp_path, "ncn", 0, 0.5, status="running")
    code, out, error = compare(tmp_path)
    assert code == 2 and "none of the runs is finished" in error and "left out: 1 running" in out
    assert group(collect([tmp_path])) == []


def test_runs_whose_meta_is_lost_are_repeats_only_if_their_settings_agree(tmp_path):
    for number, rate in enumerate((0.1, 0.1, 0.2)):
        settings = {"train.lr_encoder": rate}
        folder = write_run(tmp_path, "ncn", 0, 0.5, name=str(number), settings=settings)
        (folder / "meta.json").unlink()
    found = group(collect([tmp_path]))
    assert sorted((len(of.runs), of.repeated) for of in found) == [(1, 0), (1, 1)]


def test_a_folder_that_cannot_be_read_is_shown(root, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("ncn2"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (run,) = [run for run in collect([root]) if run.status == "unreadable"]
    assert run.name.endswith("ncn2") and "Permission denied" in run.problem
