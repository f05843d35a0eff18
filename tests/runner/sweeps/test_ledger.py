import json
import multiprocessing
import subprocess
import sys
import threading

import pytest

from runner.errors import Held, Interrupted, Pruned, RunnerError
from runner.sweeps.ledger import Job, Ledger


@pytest.fixture
def ledger(tmp_path):
    found = Ledger(tmp_path)
    found.change(lambda jobs: [Job(n, {"seed": str(n)}) for n in range(3)])
    return found


def test_one_line_a_job(ledger):
    rows = [json.loads(line) for line in ledger.path.read_text().splitlines()]
    assert [row["parameters"] for row in rows] == [{"seed": "0"}, {"seed": "1"}, {"seed": "2"}]
    assert {row["state"] for row in rows} == {"pending"}
    assert Ledger(ledger.folder).jobs() == ledger.jobs()


def test_a_job_that_is_done_is_not_done_again(ledger, tmp_path):
    with ledger.attempt(1, tmp_path / "cora" / "1") as attempt:
        assert ledger.jobs()[1].state == "running" and ledger.runner_of(1)
        attempt.result = {"metric": "mrr", "valid": 0.5}
    job = ledger.jobs()[1]
    assert (job.state, job.folder, job.attempts) == ("done", "cora/1", 1)
    assert job.result == {"metric": "mrr", "valid": 0.5} and job.began and job.ended
    with ledger.attempt(1, tmp_path / "elsewhere") as attempt:
        assert attempt is None
    assert ledger.jobs()[1] == job and not ledger.runner_of(1)


@pytest.mark.parametrize(
    ("error", "state", "text"),
    [
        (RunnerError("no such file"), "failed", "no such file"),
        (ValueError(), "failed", "ValueError"),
        (Pruned("behind"), "pruned", None),
        (KeyboardInterrupt(), "interrupted", None),
        (Interrupted(), "interrupted", None),
        (SystemExit(1), "interrupted", None),
    ],
)
def test_how_an_attempt_ends(ledger, tmp_path, error, state, text):
    with pytest.raises(type(error)), ledger.attempt(0, tmp_path / "x"):
        raise error
    assert (ledger.jobs()[0].state, ledger.jobs()[0].error) == (state, text)
    assert not ledger.runner_of(0)


@pytest.mark.command
def test_one_process_runs_a_job_at_a_time(ledger, tmp_path):
    code = (
        "import sys; from pathlib import Path; from runner.sweeps.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])).attempt(2, Path(sys.argv[1]) / 'x'):\n"
        "    print('has it', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"has it\n"
        assert f"process {other.pid} on " in ledger.runner_of(2)
        with pytest.raises(Held, match=f"process {other.pid} on "), ledger.attempt(2, tmp_path):
            raise AssertionError("both have it")
        other.kill()
        other.wait()
    # A killed one is free again, and has not been done.
    assert ledger.runner_of(2) is None and ledger.jobs()[2].state == "running"
    with ledger.attempt(2, tmp_path / "x"):
        pass
    assert (ledger.jobs()[2].state, ledger.jobs()[2].attempts) == ("done", 2)


def _finish(folder, number):
    with Ledger(folder).attempt(number, folder / str(number)):
        pass


@pytest.mark.command
def test_changes_of_many_processes_are_all_kept(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.change(lambda jobs: [Job(n, {}) for n in range(12)])
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        pool.starmap(_finish, [(tmp_path, number) for number in range(12)], chunksize=1)
    assert {job.state for job in ledger.jobs()} == {"done"}
    assert {job.attempts for job in ledger.jobs()} == {1}


def test_changes_of_many_threads_are_all_kept(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.change(lambda jobs: [])
    add = [
        threading.Thread(target=ledger.change, args=(lambda jobs: [*jobs, Job(len(jobs), {})],))
        for _ in range(20)
    ]
    for thread in add:
        thread.start()
    for thread in add:
        thread.join()
    assert len(ledger.jobs()) == 20


@pytest.mark.parametrize(
    "damage", [lambda t: t[:-20], lambda t: t.replace('"job": 1', '"job": 7'), lambda t: "[]\n" + t]
)
def test_a_damaged_line_is_named_with_the_remedy(ledger, damage):
    ledger.path.write_text(damage(ledger.path.read_text()))
    with pytest.raises(RunnerError, match=r"ledger\.jsonl, line \d: damaged .*runner -m resume="):
        ledger.jobs()


def test_a_job_that_could_not_begin(ledger):
    ledger.fail(1, "no room")
    assert ledger.jobs()[1].error == "no room" and ledger.jobs()[1].attempts == 1


def test_a_run_may_lie_outside(ledger, tmp_path):
    with ledger.attempt(0, tmp_path.parent / "outside"):
        pass
    assert ledger.jobs()[0].folder == str(tmp_path.parent / "outside")
