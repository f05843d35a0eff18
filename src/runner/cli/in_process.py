"""`runner.run`: the command in its caller's process, which stays as it was."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.version import VersionBase
from omegaconf import DictConfig

from runner.cli import main as command
from runner.cli.flags import flags_first
from runner.config.targets import foreign_targets
from runner.errors import RunnerError
from runner.machine.environment import prepare_environment
from runner.machine.signals import guest
from runner.records.folder import RunFolder

if TYPE_CHECKING:
    from runner.prediction.run import Run

_TURN = threading.RLock()
# What Hydra keeps of the application that runs; its plugins stay.
_OF_HYDRA: tuple[type, ...] = (GlobalHydra, HydraConfig, JobRuntime, VersionBase)


def run(*overrides: str) -> Run:
    """Train and evaluate as `runner <overrides>` does, in this process; the finished run.

    Metrics, weights and identity are those of the command to the bit, if no other thread draws
    from torch's generators meanwhile. A second call from another thread waits.

    Afterwards the process is as it was: environment variables, handlers of signals, Hydra's state
    (a caller may itself run under `@hydra.main`), the root logger, and torch's settings (threads,
    deterministic kernels, default type and device, precision of products, gradients, states of the
    generators). What stays: glibc keeps freed memory for later tensors, unless
    `hardware.keep_freed_memory=false`. Log messages go to the handlers of the root logger, or to
    standard output where it has none.

    On the main thread SIGINT, SIGTERM and SIGUSR1 stop training after its step: the run is saved,
    and KeyboardInterrupt raised; the same signal again raises it at once. On other threads a run
    does not listen to signals.

    Args:
        overrides: as on the command line, `"model=ncnc"`, with `"resume=<folder>"` and
            `"refit=<folder>"` among them; no flags.

    Raises:
        RunnerError: with the sentence that the command prints.
        KeyboardInterrupt: after a signal; `runner.run("resume=<folder>")` resumes the run.
    """
    _refuse_flags(overrides)
    with _TURN, _process_kept():
        try:
            resumed, others = command.split_off("resume", overrides)
            refitted, others = command.split_off("refit", others)
            if refitted is not None:
                summary = command.refit_one(refitted, others if resumed is None else overrides)
            elif resumed is None or resumed == "auto":
                summary = _compose_and_run(others, go_on=resumed is not None)
            else:
                summary = command.resume_one(resumed, others)
        except RunnerError:
            raise
        except Exception as error:
            raise command.explained(error, overrides) from error
        from runner.prediction.run import load

        folder = Path(summary["folder"])
        # What the config names has just run: the caller has named it himself.
        return load(folder, trust=foreign_targets(RunFolder.reopen(folder).config()).values())


def _refuse_flags(overrides: Sequence[str]) -> None:
    for override in overrides:
        if not isinstance(override, str):
            raise RunnerError(f"{override!r}: an override is a string, as in 'seed=1'")
        if override in ("-m", "--multirun") or override.lstrip("+").startswith("hydra.mode="):
            raise RunnerError(f"{override}: runner.run makes one run; for many type: runner -m …")
        if override.startswith("-"):
            raise RunnerError(
                f"{override}: runner.run takes no flags; type: runner {override} …, or name a "
                "config folder by hydra.searchpath=[<folder>]"
            )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RunnerError(
            "runner.run: torchrun starts the command, torchrun … -m runner …; here, give "
            "hardware.processes=…"
        )


def _compose_and_run(overrides: Sequence[str], *, go_on: bool) -> dict[str, Any]:
    """Run as the command does, but for the logging that Hydra would set up."""
    ended: list[dict[str, Any] | Exception | None] = []

    def job(config: DictConfig) -> None:
        try:
            find = command.find_repeat if go_on else None
            ended.append(command.run_one(config, find=find))
        except Exception as error:  # from a job, Hydra would print it
            ended.append(error)

    arguments = flags_first(overrides)
    initialize_config_module("runner.conf", job_name="runner", version_base="1.3")
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    try:
        hydra.run("config", job, arguments, with_log_configuration=False)
    except Exception:
        command.discard_output()
        raise
    finally:
        GlobalHydra.instance().clear()
    (result,) = ended
    if isinstance(result, Exception):
        raise command.explained_of_job(result) from result
    if result is None:
        raise RunnerError("run.dry=true: a dry run leaves no run; type: runner run.dry=true …")
    return result


@contextmanager
def _process_kept() -> Iterator[None]:
    """Inside, the process is set up as the command's; afterwards it is as it was."""
    environment = dict(os.environ)
    prepare_environment()
    from runner.machine.torch_settings import fresh_settings  # torch, in that environment

    root = logging.getLogger()
    level, console = root.level, None if root.handlers else logging.StreamHandler(sys.stdout)
    singletons: dict[type, Any] = Singleton._instances  # type: ignore[assignment]
    of_caller = {kind: singletons.pop(kind) for kind in _OF_HYDRA if kind in singletons}
    root.setLevel(logging.INFO)
    if console is not None:
        root.addHandler(console)
    try:
        with fresh_settings(), guest():
            yield
    finally:
        if console is not None:
            root.removeHandler(console)
        root.setLevel(level)
        for kind in _OF_HYDRA:
            singletons.pop(kind, None)
        singletons.update(of_caller)
        for name in [*os.environ]:
            if name not in environment:
                del os.environ[name]
        os.environ.update(environment)
