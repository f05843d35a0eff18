"""Every test works in its own folder, offline, and leaves nothing outside but compiled kernels."""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from runner.machine.environment import prepare_environment

prepare_environment()  # before torch is loaded
# ruff: noqa: E402
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from runner.cli import main as cli
from runner.ops import backend

# OGB's import asks the package registry for its version, with this package where there is one.
sys.modules.setdefault("outdated", None)
# Several tests run at a time.
torch.set_num_threads(1)


_WHOLE_RUNS = {"runner", "made_once", "copied", "arena"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that runs the command, in its own process too, is one of the second tier."""
    for item in items:
        if isinstance(item, pytest.Function) and _WHOLE_RUNS & set(item.fixturenames):
            item.add_marker(pytest.mark.command)


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.chdir(tmp_path)
    HydraConfig.instance().cfg = None  # of a test before
    for name in [name for name in os.environ if name.startswith(("WANDB_", "RUNNER_RUN"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    for name in ("CONFIG", "CACHE", "DATA", "ARTIFACT"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "wandb" / name.lower()))
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    yield
    # A command's handlers hold the captured output of this test, which closes now.
    root.handlers[:] = handlers
    root.setLevel(level)  # which clears what loggers remember of it


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command in this process: runner("model=ncn", …) -> (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["runner", *arguments])
        GlobalHydra.instance().clear()
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        captured = capsys.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    yield run
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """made_once("model=ncn", …): the folder of a run of these arguments, for reading alone.

    Of a sweep with -m; `expected` is the exit code, `prepare(monkeypatch)` comes before the run.
    """
    made: dict[tuple[object, ...], Path] = {}

    def make(*arguments: str, prepare: Callable | None = None, expected: int = 0) -> Path:
        key = (*arguments, prepare)
        if key not in made:
            root = tmp_path_factory.mktemp("made_once")
            logger = logging.getLogger()
            handlers, level = list(logger.handlers), logger.level
            err = io.StringIO()
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("RUNNER_CACHE", str(root / "cache"))
                place = f"hydra.{'sweep' if '-m' in arguments else 'run'}.dir={root / 'run'}"
                patch.setattr(sys, "argv", ["runner", *arguments, place])
                if prepare is not None:
                    prepare(patch)
                GlobalHydra.instance().clear()
                with (
                    redirect_stdout(io.StringIO()),
                    redirect_stderr(err),
                    pytest.raises(SystemExit) as exit_,
                ):
                    cli.main()
            logger.handlers[:] = handlers
            logger.setLevel(level)
            torch.use_deterministic_algorithms(False)
            assert (exit_.value.code or 0) == expected, err.getvalue()
            made[key] = root / "run"
        return made[key]

    return make


@pytest.fixture
def copied(made_once: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """copied("name", "model=ncn", …): such a run in `tmp_path`, for any use."""

    def copy(name: str, *arguments: str, **options) -> Path:
        return Path(shutil.copytree(made_once(*arguments, **options), tmp_path / name))

    return copy


@pytest.fixture(params=["compiled", "plain"])
def form(request):
    """Run the test in both forms of the operators; its name."""
    with nullcontext() if request.param == "compiled" else backend.plain():
        yield request.param


def run_folders(root: Path) -> list[Path]:
    """The run folders below `root`, oldest first."""
    return sorted(path.parent for path in root.rglob("status.json"))
