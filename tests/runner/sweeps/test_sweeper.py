"""`runner -m`, its ledger and its resumption, end to end on the smallest real graph."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.sweeps.ledger import Ledger

GAE = ("dataset=lesmis", "tracker=none", "model=gae", "train.epochs=2", "encoder.hidden=8")
QUICK = (*GAE, "hydra.sweep.dir=sw")
SEARCH = (
    "search=tpe", "hydra.sweeper.search.pruner=null",
    "train.lr_encoder=tag(log,interval(1e-4,1e-1))", "model.dropout=choice(0.1,0.5)",
)  # fmt: skip


def jobs(folder: Path = Path("sw")):
    return Ledger(folder.absolute()).jobs()


def states() -> list[str]:
    return [job.state for job in jobs()]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "runner", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


def epochs(job) -> list[int]:
    lines = (Path("sw") / job.folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines]


def test_a_finished_sweep_is_not_done_again(runner, copied):
    copied("sw", "-m", "seed=0,1", *GAE)
    before = jobs()
    assert [job.parameters for job in before] == [{"seed": "0"}, {"seed": "1"}]
    assert [job.folder for job in before] == ["lesmis/gae/0", "lesmis/gae/1"]
    assert before[0].result["metric"] == "hits@1" and 0 < before[0].result["test"] < 1
    for again in (("-m", "seed=0,1", *QUICK), ("-m", "resume=sw")):
        code, out, err = runner(*again)
        assert code == 0, err
        assert "this sweep is finished" in out and "epoch" not in out
    assert jobs() == before


def test_a_failed_job_stops_no_other_and_is_tried_again(runner):
    code, out, err = runner("-m", "train.batch_size=5000,16,6000", *QUICK)
    assert code == 1
    assert states() == ["failed", "done", "failed"]
    assert "train.batch_size=5000" in jobs()[0].error and "train.batch_size=5000" in out + err
    assert "2 failed, 1 done" in out and "go on with: runner -m resume=" in out
    assert runner("-m", "resume=sw", "hydra.sweeper.retries=2")[0] == 1
    assert [job.attempts for job in jobs()] == [4, 1, 4]


def test_a_job_keeps_its_folder_though_its_name_has_chance_in_it(runner):
    subdir = "hydra.sweep.subdir=${random_id:}"
    assert runner("-m", "train.batch_size=5000", subdir, *QUICK)[0] == 1
    (before,) = jobs()
    assert runner("-m", "resume=sw")[0] == 1
    (after,) = jobs()
    assert after.folder == before.folder and after.attempts == 2


@pytest.mark.soak
def test_a_killed_sweep_goes_on_where_it_was(runner):
    process = start("-m", "seed=0,1,2", *QUICK, "train.epochs=25")
    wait_for(lambda: Path("sw/lesmis/gae/1/checkpoints/last.pt").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert states() == ["done", "running", "pending"]
    before = jobs()[0]
    code, out, err = runner("-m", "resume=sw")
    assert code == 0, err
    assert states() == ["done"] * 3 and jobs()[0] == before
    assert [job.attempts for job in jobs()] == [1, 2, 1]
    assert "resumed at epoch" in out
    assert epochs(jobs()[1]) == list(range(1, 26))


@pytest.mark.command
def test_a_polite_stop_says_how_to_go_on(runner):
    process = start("-m", "seed=0,1", *QUICK, "train.epochs=2000")
    wait_for(lambda: Path("sw/lesmis/gae/0/checkpoints/last.pt").exists())
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert states() == ["interrupted", "pending"]
    assert "go on with: runner -m resume=" in out and "Traceback" not in out


def test_the_definition_may_grow_but_not_change(runner):
    assert runner("-m", "seed=1,0", *QUICK)[0] == 0
    before = jobs()
    code, _, err = runner("-m", "resume=sw", "seed=0,1,2")
    assert code == 1 and "seed: 1,0 then, 0,1,2 now" in err and "extend=true" in err
    code, _, err = runner("-m", "resume=sw", "train.epochs=3", "hydra.sweeper.extend=true")
    assert code == 1 and "train.epochs: 2 then, 3 now" in err
    code, _, err = runner("-m", "resume=sw", "seed=0,2", "hydra.sweeper.extend=true")
    assert code == 1 and "1 would go, the first: seed=1" in err
    assert jobs() == before
    assert runner("-m", "resume=sw", "seed=0,1,2", "hydra.sweeper.extend=true")[0] == 0
    assert jobs()[:2] == before and jobs()[2].parameters == {"seed": "2"}
    assert runner("-m", "resume=sw")[0] == 0  # with what it has become
    assert len(jobs()) == 3


def test_hardware_and_tracker_may_change(runner, copied):
    copied("sw", "-m", "seed=0,1", *GAE)
    code, _, err = runner("-m", "resume=sw", "hardware.threads=1", "tracker=none", "hardware=cpu")
    assert code == 0, err


def test_a_lost_ledger_is_made_anew_from_the_runs(runner, copied):
    copied("sw", "-m", "seed=0,1", *GAE)
    results = [job.result for job in jobs()]
    Path("sw/ledger.jsonl").unlink()
    code, out, err = runner("-m", "resume=sw")
    assert code == 0, err
    assert "epoch 1/" not in out and [job.result for job in jobs()] == results


def test_auto_takes_the_unfinished_sweep_of_the_same_definition(runner, tmp_path):
    command = ("-m", "resume=auto", *QUICK[:-1], "train.batch_size=16,5000")
    assert runner(*command)[0] == 1
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    assert runner(*command)[0] == 1
    assert [job.attempts for job in jobs(sweep)] == [1, 2]
    assert runner("-m", "resume=latest")[0] == 1
    assert [job.attempts for job in jobs(sweep)] == [1, 3]
    assert runner(*command[:-1], "train.batch_size=16")[0] == 0  # another one
    assert len(list((tmp_path / "outputs" / "sweeps").iterdir())) == 2


def test_paired_lists(runner):
    paired = "hydra.sweeper.paired=[[seed,train.epochs]]"
    code, _, err = runner("-m", "seed=0,1", "train.epochs=1,2", paired, *QUICK[:3], *QUICK[4:])
    assert code == 0, err
    assert [job.parameters["train.epochs"] for job in jobs()] == ["1", "2"]
    assert [len(epochs(job)) for job in jobs()] == [1, 2]


@pytest.mark.command
def test_three_processes_work_off_one_ledger(tmp_path):
    command = ("-m", "seed=range(6)", *QUICK, "hardware.threads=1")
    processes = [start(*command) for _ in range(3)]
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, outputs
    assert states() == ["done"] * 6
    assert {job.attempts for job in jobs()} == {1}
    assert sum(out.count("epoch 2/2") for out in outputs) == 6


@pytest.mark.command
def test_a_second_process_takes_part_in_a_search(tmp_path):
    search = ("-m", *SEARCH, "hydra.sweeper.search.trials=6", *QUICK, "train.epochs=15")
    first = start(*search)
    wait_for(lambda: Path("sw/lesmis/gae/0/checkpoints/last.pt").exists())
    second = start(*search)
    outputs = [process.communicate(timeout=240)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1)] * 6
    assert all(out.count("epoch 15/15") for out in outputs)


def test_a_search_ends_at_its_total(runner, copied):
    copied("sw", "-m", *SEARCH, "hydra.sweeper.search.trials=2", *GAE)
    assert states() == ["done"] * 2
    assert {job.parameters["model.dropout"] for job in jobs()} <= {"0.1", "0.5"}
    assert len({job.parameters["train.lr_encoder"] for job in jobs()}) == 2
    before = jobs()
    assert runner("-m", "resume=sw")[0] == 0 and jobs() == before
    more = ("hydra.sweeper.search.trials=3", "hydra.sweeper.extend=true")
    assert runner("-m", "resume=sw", *more)[0] == 0
    assert jobs()[:2] == before and len(jobs()) == 3


@pytest.mark.soak
def test_a_killed_search_finds_what_it_would_have(runner):
    process = start("-m", *SEARCH, "hydra.sweeper.search.trials=4", *QUICK, "train.epochs=15")
    wait_for(lambda: Path("sw/lesmis/gae/1/checkpoints/last.pt").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert runner("-m", "resume=sw")[0] == 0
    stopped = jobs()
    assert [job.attempts for job in stopped] == [1, 2, 1, 1]
    whole = ("hydra.sweeper.search.trials=4", "hydra.sweep.dir=whole", "train.epochs=15")
    assert runner("-m", *SEARCH, *QUICK[:3], *QUICK[4:-1], *whole)[0] == 0
    assert [job.parameters for job in jobs(Path("whole"))] == [job.parameters for job in stopped]
    found = [{k: v for k, v in job.result.items() if k != "seconds"} for job in stopped]
    assert found == [
        {k: v for k, v in job.result.items() if k != "seconds"} for job in jobs(Path("whole"))
    ]


def test_a_search_whose_folder_has_moved_goes_on(runner):
    assert runner("-m", *SEARCH, "hydra.sweeper.search.trials=1", *QUICK)[0] == 0
    before = jobs()
    Path("sw").rename("moved")
    more = ("hydra.sweeper.search.trials=2", "hydra.sweeper.extend=true")
    assert runner("-m", "resume=moved", *more)[0] == 0
    assert jobs(Path("moved"))[:1] == before and len(jobs(Path("moved"))) == 2


def test_hopeless_trials_are_given_up(runner):
    pruner = "hydra.sweeper.search.pruner"
    arguments = (f"{pruner}.n_startup_trials=1", f"{pruner}.n_warmup_steps=2", "train.epochs=8")
    search = ("search=tpe", "train.lr_encoder=choice(0.0,0.1)", *arguments)
    code, out, err = runner("-m", *search, "hydra.sweeper.search.trials=4", *QUICK[:3], *QUICK[4:])
    assert code == 0, err
    assert "pruned" in states(), out
    pruned = next(job for job in jobs() if job.state == "pruned")
    assert len(epochs(pruned)) < 8 and pruned.result["metric"] == "hits@1"
    status = json.loads((Path("sw") / pruned.folder / "status.json").read_text())
    assert status["status"] == "pruned"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume=nowhere"], "nowhere: there is no sweep (sweep.yaml missing)"),
        (["model=nope,no", "hydra.sweep.dir=sw"], "model=nope: there is no such model"),
        (["resume=latest"], "resume=latest: no sweep in"),
        (["seed=interval(0,1)", *QUICK], "seed=interval(0,1): an interval has no end"),
        (["search=tpe", *QUICK], "there is nothing to search"),
        (["seed=0,1", "hydra.sweeper.paired=[[seed,model]]", *QUICK], "model has no list"),
        (["seed=0", "hydra.sweeper.nope=1", *QUICK], "hydra.sweeper.nope"),
        (["seed=0,1", "hydra/launcher=nope", *QUICK], "nope"),
        (
            ["seed=0,1", "hydra.sweeper.retries=-1", *QUICK],
            "hydra.sweeper.retries: -1 does not fit",
        ),
        (["seed=0,1", "hydra.sweeper.paired=[seed]", *QUICK], "hydra.sweeper.paired"),
        ([*SEARCH, "hydra.sweeper.search.trials=0", *QUICK], "search.trials: 0 does not fit"),
        ([*SEARCH, "hydra.sweeper.search.sampler=tpe", *QUICK], "search.sampler: 'tpe'"),
        ([*SEARCH, "hydra.sweeper.search.pruner={_target_: optuna.pruners.No}", *QUICK],
         "search.pruner: it cannot be made"),
        ([*SEARCH, "hydra.sweeper.search.storage=no://x", *QUICK], "no study can be kept there"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_one_clear_error(runner, tmp_path, arguments, message):
    code, out, err = runner("-m", *arguments)
    assert code == 1 and message in err and err.startswith("runner: ")
    assert "Traceback" not in out + err
    assert not (tmp_path / "sw").exists()


def test_a_sweep_is_no_run(runner, copied):
    copied("sw", "-m", "seed=0,1", *GAE)
    code, _, err = runner("resume=sw")
    assert code == 1 and "this is a sweep; runner -m resume=" in err
