import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import wandb

from runner.tracking.background import SafeTracker
from runner.tracking.media import Histogram, Lines, Table
from runner.tracking.tracker import RunInfo
from runner.tracking.wandb import WandbTracker, columns

CONFIG = {
    "seed": 3,
    "model": {"_target_": "runner.models.ncn.NCN", "beta": 1.0},
    "train": {"epochs": 4},
}
ROWS = [
    {"epoch": 1, "loss": 1.0, "valid/hits@50": 0.2, "test/hits@50": 0.1, "lr/encoder": 0.01},
    {"epoch": 2, "loss": 0.5, "valid/hits@50": 0.8, "test/hits@50": 0.7, "lr/encoder": 0.01},
    {"epoch": 3, "loss": 0.3, "valid/hits@50": 0.4, "test/hits@50": 0.9, "lr/encoder": 0.01},
]
LAST = {"epoch": 4, "loss": 0.2, "valid/hits@50": 0.3, "test/hits@50": 0.3, "lr/encoder": 0.01}
SUMMARY = {
    "model": "ncn",
    "best_epoch": 2,
    "valid": {"hits@50": 0.8},
    "test": {"hits@50": 0.7},
    "published": None,
    "seconds": 12.5,
}


@pytest.fixture(autouse=True)
def own_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No account, no settings and no W&B session but the test's own."""
    wandb.teardown()
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    for name in ("CONFIG", "CACHE", "DATA", "ARTIFACT"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(home / name.lower()))
    # Nothing here may reach a server: port 9 answers nobody.
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    yield
    wandb.teardown()


def wandb_tracker(mode: str = "auto", init_timeout: float = 0.5) -> WandbTracker:
    return WandbTracker(
        project="runner", entity=None, mode=mode, init_timeout=init_timeout, finish_timeout=20.0
    )


def start(tracker, folder: Path, run_id: str = "abcd1234", resumed: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    tracker.start(
        RunInfo(
            folder=folder,
            run_id=run_id,
            name="ncn-cora-seed3",
            group="ncn-cora-0123",
            tags=["ncn", "cora"],
            config=CONFIG,
            resumed=resumed,
            epochs=4,
        )
    )


def log(tracker, folder: Path, rows: list[dict]) -> None:
    """As the run's recorder does: a line of metrics.jsonl, then the tracker."""
    for row in rows:
        with open(folder / "metrics.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")
        tracker.log(row, step=row["epoch"])


def run(tracker, folder: Path, run_id: str = "abcd1234") -> None:
    start(tracker, folder, run_id)
    log(tracker, folder, ROWS)
    tracker.finish(SUMMARY, exit_code=0)


def runs_in(folder: Path) -> list[Path]:
    """The offline runs, in the order of their start."""
    return sorted((folder / "wandb").glob("offline-run-*"))


def leet(*arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def records(directory: Path) -> list[dict]:
    """Everything that an offline run holds, in order."""
    return [json.loads(line) for line in leet("--json", str(directory)).splitlines()]


def of_type(kind: str, found: list[dict]) -> list[dict]:
    return [record[kind] for record in found if record["type"] == kind]


def steps(found: list[dict]) -> list[int]:
    return [row["item"]["_step"] for row in of_type("history", found)]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Our own messages; W&B's go to its own files only."""
    names = ("runner.tracking.wandb", "runner.tracking.background")
    return [record.getMessage() for record in caplog.records if record.name in names]


def without_wandb_keys(content: dict) -> dict:
    return {name: value for name, value in content.items() if not name.startswith("_")}


@pytest.mark.command
def test_an_offline_run_holds_every_epoch_and_the_summary_of_the_best(tmp_path, capfd):
    tracker = SafeTracker(wandb_tracker())
    run(tracker, tmp_path / "run")
    (directory,) = runs_in(tmp_path / "run")
    found = records(directory)
    rows = [record["item"] for record in of_type("history", found)]
    assert [without_wandb_keys(row) for row in rows] == ROWS
    assert steps(found) == [1, 2, 3]
    assert of_type("run", found)[0]["run_group"] == "ncn-cora-0123"
    assert of_type("run", found)[0]["job_type"] == "train"
    # Only the step axis is defined: a summary by W&B's own rules could select on test.
    assert [sorted(metric) for metric in of_type("metric", found)] == [
        ["name", "options"],
        ["glob_name", "options", "step_metric"],
    ]

    end = json.loads(leet("--summary", "--json", str(directory)))
    # Every metric at epoch 2, the best on validation; neither the last nor the test's best.
    assert without_wandb_keys(end["summary"]) == {
        **ROWS[1],
        "model": "ncn",
        "best_epoch": 2,
        "seconds": 12.5,
    }
    assert end["config"]["model/beta"] == 1.0 and end["config"]["seed"] == 3
    assert end["tags"] == ["ncn", "cora"]
    assert (end["run_id"], end["name"], end["exit_code"]) == ("abcd1234", "ncn-cora-seed3", 0)

    assert tracker.upload_command == f"wandb sync {tmp_path}/run/wandb"
    assert tracker.url is None
    assert capfd.readouterr() == ("", "")  # W&B itself says nothing


MEDIA = {
    "pairs": Table(["source", "label"], [[3, 1], [5, 0]]),
    "probabilities": Histogram([2, 0, 1], [0.0, 0.25, 0.5, 1.0]),
    "curves": Lines("mrr", "epoch", [1, 2], {"valid": [0.1, 0.3], "test": [0.2, 0.2]}),
}


@pytest.mark.command
def test_media_stand_in_the_row_of_the_last_epoch_and_leave_the_summary_its_own(tmp_path):
    folder = tmp_path / "run"
    tracker = SafeTracker(wandb_tracker())
    start(tracker, folder)
    log(tracker, folder, [*ROWS, LAST])
    assert tracker.wants_media
    tracker.show_media(MEDIA)
    tracker.finish(SUMMARY, exit_code=0)
    (directory,) = runs_in(folder)
    found = records(directory)
    assert steps(found) == [1, 2, 3, 4]
    row = of_type("history", found)[-1]["item"]
    assert LAST.items() <= row.items()
    assert row["media/probabilities._type"] == "histogram"
    assert row["media/probabilities.values"] == [2, 0, 1]
    assert row["media/probabilities.bins"] == [0, 0.25, 0.5, 1]
    assert row["media/pairs._type"] == row["media/curves_table._type"] == "table-file"
    table = json.loads((directory / "files" / row["media/pairs.path"]).read_text())
    assert table == {"columns": ["source", "label"], "data": [[3, 1], [5, 0]]}
    curves = json.loads((directory / "files" / row["media/curves_table.path"]).read_text())
    assert len(curves["data"]) == 4
    # An artifact would ask the server, while `finish` waits.
    assert not of_type("artifact", found)
    end = json.loads(leet("--summary", "--json", str(directory)))
    assert ROWS[1].items() <= end["summary"].items()


@pytest.mark.command
def test_a_last_row_without_media_is_not_lost_and_does_not_take_the_summary(tmp_path):
    folder = tmp_path / "run"
    tracker = SafeTracker(wandb_tracker())
    start(tracker, folder)
    log(tracker, folder, [*ROWS, LAST])
    tracker.finish(SUMMARY, exit_code=0)
    (directory,) = runs_in(folder)
    assert steps(records(directory)) == [1, 2, 3, 4]
    end = json.loads(leet("--summary", "--json", str(directory)))
    assert ROWS[1].items() <= end["summary"].items()


def test_every_value_of_the_config_is_a_scalar_column():
    config = {
        "seed": 3,
        "model": {"completion": {"t": 0.5, "chunk_size": None}},
        "protocol": {
            "metrics": ["hits@50", "mrr"],
            "permitted_overlaps": [],
            "tuned": {"train": {"epochs": 9}},
            "tuned_for": {"completion": {"train": {"epochs": 9}}},
            "published": {"ncn": {"mean": 1.0}},
        },
    }
    assert columns(config) == {
        "seed": 3,
        "model/completion/t": 0.5,
        "model/completion/chunk_size": None,
        "protocol/metrics": "hits@50,mrr",
        "protocol/permitted_overlaps": "",
    }


@pytest.mark.command
def test_the_upload_command_finds_the_run(tmp_path):
    tracker = wandb_tracker()
    run(tracker, tmp_path / "a folder")
    assert tracker.upload_command is not None
    command = tracker.upload_command.replace("wandb", f"{Path(sys.executable).parent}/wandb", 1)
    found = subprocess.run(f"{command} --dry-run", shell=True, capture_output=True, text=True)
    assert "Would sync 1 run(s)" in found.stdout + found.stderr


@pytest.mark.command
def test_a_resumed_run_keeps_its_id_and_steps_and_finds_an_older_best_epoch(tmp_path):
    folder = tmp_path / "run"
    first = wandb_tracker()
    start(first, folder)
    log(first, folder, ROWS[:2])
    first.finish({}, exit_code=1)
    second = wandb_tracker()
    start(second, folder, resumed=True)
    log(second, folder, ROWS[2:])
    second.finish(SUMMARY, exit_code=0)

    fragments = [records(path) for path in runs_in(folder)]
    assert [of_type("run", found)[0]["run_id"] for found in fragments] == ["abcd1234", "abcd1234"]
    assert [of_type("exit", found)[0]["exit_code"] for found in fragments] == [1, 0]
    assert [steps(found) for found in fragments] == [[1, 2], [3]]
    assert of_type("summary", fragments[1])[-2]["update"]["loss"] == 0.5
    assert second.upload_command == first.upload_command  # of the whole run


@pytest.mark.command
def test_two_runs_in_one_process_are_two_wandb_runs(tmp_path):
    abandoned = wandb_tracker()
    start(abandoned, tmp_path / "zero", "aaaa0000")  # a job that failed before its finish
    run(wandb_tracker(), tmp_path / "one", "aaaa1111")
    run(wandb_tracker(), tmp_path / "two", "aaaa2222")
    for name, run_id in (("one", "aaaa1111"), ("two", "aaaa2222")):
        (directory,) = runs_in(tmp_path / name)
        assert directory.name.endswith(run_id)
        assert steps(records(directory)) == [1, 2, 3]
    assert steps(records(*runs_in(tmp_path / "zero"))) == []


@pytest.mark.command
@pytest.mark.parametrize("mode", ["auto", "online"])
def test_an_unreachable_server_means_offline(tmp_path, monkeypatch, caplog, capfd, mode):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    began = time.monotonic()
    tracker = wandb_tracker(mode)
    run(tracker, tmp_path / "run")
    assert time.monotonic() - began < 60  # W&B alone would wait 90 seconds
    (directory,) = runs_in(tmp_path / "run")
    assert steps(records(directory)) == [1, 2, 3]
    assert tracker.upload_command == f"wandb sync {tmp_path}/run/wandb"
    (message,) = said(caplog)
    assert message.startswith("W&B cannot go online (") and "\n" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.command
def test_online_without_a_key_means_offline_and_never_a_prompt(tmp_path, caplog):
    tracker = wandb_tracker("online")
    run(tracker, tmp_path / "run")
    assert len(runs_in(tmp_path / "run")) == 1
    (message,) = said(caplog)
    assert "no API key" in message


def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    pass


def key_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)


def key_in_netrc(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(os.environ["NETRC"]).write_text(f"machine 127.0.0.1:9 login user password {'ab' * 20}\n")


def key_for_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(os.environ["NETRC"]).write_text(f"machine example.org login user password {'ab' * 20}\n")


@pytest.mark.command
@pytest.mark.parametrize(
    ("mode", "environment", "key", "expected"),
    [
        ("auto", None, no_key, "offline"),
        ("auto", None, key_in_environment, "online"),
        ("auto", None, key_in_netrc, "online"),
        ("auto", None, key_for_another_host, "offline"),
        ("auto", "offline", key_in_environment, "offline"),
        ("auto", "dryrun", key_in_environment, "offline"),
        ("auto", "online", key_in_environment, "online"),
        ("auto", "online", no_key, "offline"),
        ("auto", "disabled", key_in_environment, None),
        ("offline", "online", key_in_environment, "offline"),
        ("online", "offline", key_in_environment, "online"),
        ("online", "disabled", key_in_environment, "online"),
        ("offline", "disabled", no_key, "offline"),
    ],
)
def test_the_mode(tmp_path, monkeypatch, mode, environment, key, expected):
    if environment:
        monkeypatch.setenv("WANDB_MODE", environment)
    key(monkeypatch)
    modes = []

    def init(**arguments):
        modes.append(arguments["mode"])
        raise RuntimeError("far enough")

    monkeypatch.setattr(wandb, "init", init)
    tracker = wandb_tracker(mode)
    if expected is None:
        start(tracker, tmp_path / "run")
    else:
        with pytest.raises(RuntimeError, match="far enough"):
            start(tracker, tmp_path / "run")
    # Whatever keeps a run from going online, it is tried offline.
    assert modes == {None: [], "offline": ["offline"], "online": ["online", "offline"]}[expected]


def test_disabled_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    tracker = wandb_tracker()
    run(tracker, tmp_path / "run")
    assert not (tmp_path / "run" / "wandb").exists()
    assert tracker.upload_command is None and tracker.url is None
    assert not tracker.wants_media


@pytest.mark.command
def test_an_upload_that_takes_too_long_is_left_for_later(tmp_path, monkeypatch, caplog):
    class SlowRun:
        summary: ClassVar[dict] = {}
        settings = SimpleNamespace(sync_dir="/runs/wandb/run-1")
        url = "https://wandb.ai/a/b"

        def define_metric(self, *names, **options) -> None:
            pass

        def finish(self, exit_code: int) -> None:
            raise TimeoutError

    key_in_environment(monkeypatch)
    monkeypatch.setattr(wandb, "init", lambda **arguments: SlowRun())
    tracker = wandb_tracker()
    start(tracker, tmp_path / "run")
    assert (tracker.url, tracker.upload_command) == ("https://wandb.ai/a/b", None)
    tracker.finish(SUMMARY, exit_code=0)
    assert SlowRun.summary["valid/hits@50"] == 0.8
    assert tracker.upload_command == "wandb sync --include-online /runs/wandb/run-1"
    (message,) = said(caplog)
    assert "tracker.finish_timeout=20" in message


def test_an_unusable_wandb_does_not_stop_a_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    tracker = SafeTracker(wandb_tracker())
    run(tracker, tmp_path / "run")
    assert "the run goes on without it" in caplog.text
    assert tracker.upload_command is None
