"""`runner.run`: the command's results, in a process that stays its caller's."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from hydra.core.singleton import Singleton
from tests.runner.experiment.test_resume import assert_same_weights, curve

import runner as package
from runner.errors import RunnerError
from runner.training import loop
from runner.training.objective import LinkPrediction, Step

pytestmark = pytest.mark.command

# Edge dropout and sampled completion: every generator is in play.
SETTING = (
    "model=ncnc", "dataset=lesmis", "tracker=none", "encoder.hidden=8", "train.epochs=2",
    "model.edge_dropout=0.2", "encoder.edge_dropout=0.1", "model.completion.keep_train=2",
)  # fmt: skip


def experiment(folder: Path) -> str:
    return json.loads((folder / "meta.json").read_text())["experiment"]


def assert_repeats(one: Path, other: Path) -> None:
    assert curve(one) == curve(other)
    assert_same_weights(one, other)
    assert experiment(one) == experiment(other)


def state_of_process() -> dict[str, object]:
    """What a run touches, comparable."""
    root = logging.getLogger()
    return {
        "argv": list(sys.argv),
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "signals": {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, 10, 12)},
        "wakeup": signal.set_wakeup_fd(-1),
        "hydra": {kind.__name__: vars(kind.instance()) | {} for kind in list(Singleton._instances)
                  if kind.__name__ in ("GlobalHydra", "HydraConfig", "JobRuntime", "VersionBase")},
        "logging": (root.level, list(root.handlers), root.disabled),
        "torch": (
            torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads(),
            torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision(),
            torch.utils.deterministic.fill_uninitialized_memory, torch.is_grad_enabled(),
        ),
        "chance": torch.get_rng_state().tolist(),
    }  # fmt: skip


@pytest.fixture
def commands(made_once) -> Path:
    """The run of the command."""
    return made_once(*SETTING)


@pytest.fixture
def odd_settings():
    """Settings of the caller that would change a run's numbers, or break it."""
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.manual_seed(7)
    with torch.no_grad(), torch.device("meta"):
        yield
    torch.set_default_dtype(torch.float32)
    torch.set_float32_matmul_precision("highest")
    torch.set_deterministic_debug_mode("default")


def test_a_run_is_the_commands_to_the_bit_and_leaves_the_process_as_it_was(
    commands, tmp_path, odd_settings
):
    before = state_of_process()
    first = package.run(*SETTING, "hydra.run.dir=first")
    assert state_of_process() == before
    package.run(*SETTING, "hydra.run.dir=second")
    assert Path(first.folder) == tmp_path / "first"
    with torch.device("cpu"):
        for name in ("first", "second"):
            assert_repeats(commands, tmp_path / name)


def test_two_threads_run_one_after_the_other(commands, tmp_path, monkeypatch):
    original, inside, most = loop.train_step, [0], [0]

    def step(*arguments):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        done = original(*arguments)
        inside[0] -= 1
        return done

    monkeypatch.setattr(loop, "train_step", step)
    before = state_of_process()
    threads = [
        threading.Thread(target=package.run, args=(*SETTING, f"hydra.run.dir={number}"))
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state_of_process() == before
    assert most == [1]
    for number in range(2):
        assert_repeats(commands, tmp_path / str(number))


def test_several_processes_off_the_main_thread(tmp_path):
    arguments = ("model=ncn", "dataset=lesmis", "tracker=none", "train.epochs=1", "hardware=cpu")
    run = (*arguments, "hardware.processes=2", "hydra.run.dir=run")
    thread = threading.Thread(target=package.run, args=run)
    thread.start()
    thread.join()
    assert json.loads((tmp_path / "run" / "meta.json").read_text())["processes"] == 2
    assert (tmp_path / "run" / "summary.json").is_file()


@pytest.mark.parametrize("overrides", [
    ["model=ncnx"], ["train.epoch=3"], ["train.epochs=x"], ["seed=0,1"], ["seed='"],
    ["dataset=edges"], ["resume=nowhere"], ["resume=a", "resume=b"], ["hydra.run.dir=''"],
    ["dataset=lesmis", "hardware.device=mps"], ["sweep=seeds"],
])  # fmt: skip
def test_errors_are_the_sentences_of_the_command(runner, tmp_path, overrides):
    code, _, err = runner(*overrides)
    assert code == 1
    before = state_of_process()
    left = set(tmp_path.rglob("*"))
    with pytest.raises(RunnerError) as raised:
        package.run(*overrides)
    assert f"runner: {raised.value}\n" == err
    assert state_of_process() == before
    assert {path for path in tmp_path.rglob("*") if path.is_file()} >= {
        path for path in left if path.is_file()
    }


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["-m", "seed=0"], "-m: runner.run makes one run; for many type: runner -m …"),
        (["hydra.mode=MULTIRUN"], "hydra.mode=MULTIRUN: runner.run makes one run"),
        (["--cfg", "job"], "--cfg: runner.run takes no flags; type: runner --cfg …"),
        ([{"model": "ncn"}], "{'model': 'ncn'}: an override is a string"),
        (["run.dry=true"], "run.dry=true: a dry run leaves no run"),
    ],
)
def test_what_makes_no_run_is_refused(tmp_path, overrides, sentence):
    with pytest.raises(RunnerError) as raised:
        package.run(*overrides)
    assert str(raised.value).startswith(sentence)
    assert not list(tmp_path.iterdir())


def test_torchrun_is_sent_to_the_command(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RunnerError, match="torchrun starts the command"):
        package.run(*SETTING)


def test_an_interrupt_is_raised_and_the_run_resumes_to_the_same_bits(
    commands, tmp_path, monkeypatch, capsys
):
    original, done = loop.train_step, iter(range(10**9))

    def step(*arguments):
        if next(done) == 13:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments)

    before = state_of_process()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "train_step", step)
        package.run(*SETTING, "hydra.run.dir=cut")
    assert state_of_process() == before
    cut = tmp_path / "cut"
    assert f"runner resume={cut}" in capsys.readouterr().out
    assert json.loads((cut / "status.json").read_text())["status"] == "interrupted"
    resumed = package.run(f"resume={cut}")
    assert Path(resumed.folder) == cut
    assert_repeats(commands, cut)


def test_resume_auto_takes_the_unfinished_run(tmp_path, monkeypatch):
    def step(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "train_step", step)
        package.run(*SETTING)
    (folder,) = tmp_path.glob("outputs/lesmis/ncnc/*")
    assert Path(package.run(*SETTING, "resume=auto").folder) == folder


def test_messages_go_to_the_callers_handlers_or_to_standard_output(tmp_path, capsys, monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    package.run("dataset=lesmis", "model=cn", "tracker=none", "hydra.run.dir=one")
    assert "lesmis: 77 nodes" in capsys.readouterr().out
    root.handlers = [logging.FileHandler(tmp_path / "mine.log", mode="w")]
    package.run("dataset=lesmis", "model=cn", "tracker=none", "hydra.run.dir=two")
    assert "lesmis: 77 nodes" not in capsys.readouterr().out
    logging.getLogger("mine").warning("still open")
    root.handlers[0].close()
    text = (tmp_path / "mine.log").read_text()
    assert "lesmis: 77 nodes" in text and "still open" in text


class Doubled(LinkPrediction):
    """An objective of the caller's own."""

    def loss(self, step: Step):
        return 2 * super().loss(step)


def test_components_of_the_callers_own_need_no_further_trust():
    run = package.run(*SETTING, f"objective._target_={__name__}.Doubled")
    assert run.metrics["test"] and len(run.top(run.nodes[0], k=3)) == 3


CALLER = """
import hydra
from hydra.core.hydra_config import HydraConfig
import runner

@hydra.main(version_base="1.2", config_path=None)
def main(config):
    mine = HydraConfig.get().runtime.output_dir
    run = runner.run("dataset=lesmis", "model=cn", "tracker=none", "hydra.run.dir=inside")
    assert HydraConfig.get().runtime.output_dir == mine
    assert HydraConfig.get().job.name == "caller"
    print("inside:", run.folder)

main()
"""


def test_a_caller_may_itself_run_under_hydra(tmp_path):
    (tmp_path / "caller.py").write_text(CALLER)
    done = subprocess.run([sys.executable, "caller.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"inside: {tmp_path / 'inside'}\n" in done.stdout


def test_a_config_folder_of_ones_own(tmp_path):
    (tmp_path / "conf" / "train").mkdir(parents=True)
    (tmp_path / "conf" / "train" / "short.yaml").write_text("defaults: [default]\nepochs: 1\n")
    place = f"hydra.searchpath=[file://{tmp_path / 'conf'}]"
    run = package.run("dataset=lesmis", "model=ncn", "tracker=none", "train=short", place)
    assert json.loads((Path(run.folder) / "summary.json").read_text())["epochs"] == 1
