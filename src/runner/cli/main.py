"""The command line: `runner [group=option] [key=value] …`, `runner resume=<run folder>`, `refit=`.

torch, W&B and OGB are imported by what needs them, so that help and mistakes answer at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from hydra_plugins.runner_sweeper import LedgerSweeper
from runner.cli.flags import flags_first
from runner.config import published, resolvers
from runner.errors import EXIT_INTERRUPTED, Interrupted, Pruned, RunnerError
from runner.machine.out_of_memory import REMEDY, is_out_of_memory
from runner.records.early_folders import EarlyFolders
from runner.sweeps.job import JOB, place, run_job
from runner.sweeps.resume import arguments_of
from runner.sweeps.sweeper import JobsFailed

if TYPE_CHECKING:
    from runner.records.folder import RunFolder
    from runner.sweeps.job import Find, Judge

log = logging.getLogger(__name__)

# Here, so that the processes of a launcher, which import this module, have them too.
resolvers.register()


def main() -> None:
    """Entry point of the `runner` command; exits with 0, 1 (an error) or 130 (interrupted)."""
    shared = int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ  # by torchrun
    if shared:
        _meet()
    # Until training handles them itself, polite kills end a run as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.default_int_handler)
    # Hydra then raises its errors instead of printing them, and we say them in one line.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    HydraConfig.instance().cfg = None  # of a command before this one in the same process
    Plugins.instance().register(LedgerSweeper)  # which Hydra does not find in an editable install
    arguments = sys.argv[1:]
    try:
        resumed, others = split_off("resume", arguments)
        refitted, others = split_off("refit", others)
        if shared and {"-m", "--multirun"} & set(others):
            raise RunnerError("-m: torchrun starts one run; for many, hardware.processes=2 of each")
        if refitted is not None:
            _log_plainly()
            refit_one(refitted, others if resumed is None else arguments)
            code = 0
        elif resumed is None:
            code = _compose_and_run(arguments)
        elif {"-m", "--multirun"} & set(others):
            code = _compose_and_run(arguments_of(resumed, others))
        elif resumed == "auto":
            code = _compose_and_run(others, go_on=True)
        else:
            _log_plainly()
            resume_one(resumed, others)
            code = 0
    except KeyboardInterrupt:
        code = _interrupted()
    except Exception as error:
        code = _fail(explained(error, arguments))
    sys.exit(code)


def split_off(key: str, arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The run that `resume=` or `refit=` names, None without one, and the other arguments.

    Raises:
        RunnerError: if several runs are named.
    """
    mark = f"{key}="
    named = {a.removeprefix(mark) for a in arguments if a.startswith(mark)}
    if len(named) > 1:
        raise RunnerError(f"{key} takes one run folder and key=value overrides")
    return next(iter(named), None), [a for a in arguments if not a.startswith(mark)]


def _log_plainly() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)


def explained(error: Exception, arguments: Sequence[str]) -> RunnerError:
    """An error of the user's as one sentence; another error is raised.

    Args:
        arguments: what was typed.
    """
    if isinstance(error, RunnerError):
        return error
    if isinstance(error, HydraException | OmegaConfBaseException | ValueError):
        from runner.cli.explain import explain

        return RunnerError(explain(error, arguments))
    if isinstance(error, OSError):
        return RunnerError(f"{error}; is the run folder writable? choose another: hydra.run.dir=…")
    if isinstance(error, RecursionError):
        key = max(arguments, key=len, default="").partition("=")[0]
        return RunnerError(f"{key}: the value is nested too deeply; no key takes that")
    if is_out_of_memory(error):
        return _out_of_memory(error)
    raise error


def _meet() -> None:
    """Join the processes that torchrun has started; all but process 0 compute and exit here."""
    from runner.experiment import processes

    if int(os.environ["RANK"]):
        processes.follow()
        sys.exit()
    processes.join()


def _compose_and_run(arguments: Sequence[str], *, go_on: bool = False) -> int:
    """Run what the arguments say; with `go_on`, where it has an unfinished run already, that."""
    sys.argv[1:] = flags_first(arguments)
    job = update_wrapper(partial(_job, go_on=go_on), _job)
    application = hydra.main(
        version_base="1.3", config_path="pkg://runner.conf", config_name="config"
    )(job)
    try:
        application()
    except JobsFailed:
        return 1
    except ConfigCompositionException as error:
        from runner.cli.explain import with_swept_keys

        discard_output()
        again = with_swept_keys(error, arguments)
        if again is None:
            raise
        return _compose_and_run(again, go_on=go_on)
    except Exception:
        discard_output()
        raise
    return 0


def discard_output() -> None:
    """Remove the folder that Hydra has made for a run that then never began."""
    from runner.storage.files import discard_empty

    if HydraConfig.initialized() and EarlyFolders.known:
        with suppress(MissingMandatoryValue):
            discard_empty(Path(HydraConfig.get().runtime.output_dir), keep=EarlyFolders.known)


def _is_multirun() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _job(config: DictConfig, *, go_on: bool) -> Exception | None:
    """One run, or one job of a sweep: a failure ends this job alone, and says so at once."""
    try:
        if JOB in os.environ and _is_multirun():
            run_job(Path(HydraConfig.get().sweep.dir), _output_folder(), partial(run_one, config))
        else:
            run_one(config, find=find_repeat if go_on else None)
        return None
    except KeyboardInterrupt:
        code = _interrupted()
        if _is_multirun():
            raise
    except Exception as error:
        problem = explained_of_job(error)
        code = _fail(problem)
        if _is_multirun():
            return problem  # raised, Hydra would say it again, in its words
    # Hydra would print every other exception with a heading and a traceback of its own.
    raise SystemExit(code)


def explained_of_job(error: Exception) -> RunnerError:
    """Any error of a run whose config Hydra has composed, as one sentence."""
    if isinstance(error, RunnerError | OmegaConfBaseException) or is_out_of_memory(error):
        return explained(error, [])
    return RunnerError(f"unexpected {type(error).__name__}: {error}")


def run_one(
    config: DictConfig, *, find: Find | None = None, judge: Judge | None = None
) -> dict[str, Any] | None:
    """One run from its composed config; its summary, None where it is only described.

    Args:
        find: the run to go on with instead, if it finds one.
        judge: is told the validation metric after each epoch, and may end the run.
    """
    from runner.config.groups import refuse_groups
    from runner.config.targets import foreign_targets
    from runner.config.validate import resolve
    from runner.machine.provenance import describe_machine
    from runner.records.folder import RunFolder
    from runner.storage.files import discard_empty

    output = _output_folder()
    choices = HydraConfig.get().runtime.choices
    overrides = _as_typed(HydraConfig.get().overrides.task)
    try:
        refuse_groups(overrides, choices, multirun=_is_multirun())
        plain = resolve(config)
        origins = published.origins(config, overrides, choices)
        note = published.untuned_note(config, origins)
        if note:
            log.info("%s", note)
        for group, option in choices.items():
            if group.startswith("model/") and option:
                run = plain["run"]
                log.info(
                    "model=%s with protocol=%s is %s", run["model"], run["protocol"],
                    plain["model"]["_target_"],
                )  # fmt: skip
        if plain["run"]["dry"]:
            _describe(plain, origins)
            return None
        earlier = find(plain, output) if find else None
        if earlier is None:
            sources = {origin.key: origin.source for origin in origins}
            sweep = place(Path(HydraConfig.get().sweep.dir)) if _is_multirun() else None
            folder = RunFolder.claim(
                output,
                config=plain,
                overrides=overrides,
                meta={**describe_machine(), "hyperparameters": sources, "sweep": sweep},
            )
    finally:
        # Hydra has made it by now, and a refused run leaves nothing.
        discard_empty(output, keep=EarlyFolders.known)
    if earlier is not None:
        from runner.experiment.resume_overrides import changeable

        log.info("goes on with %s", earlier)
        with _recorded(RunFolder(earlier)):
            from runner.experiment.resume import resume

            trusted = foreign_targets(plain).values()
            summary = resume(earlier, changeable(overrides), trusted=trusted, judge=judge)
    else:
        with _recorded(folder), folder.recording_status():
            from runner.experiment.run import run_experiment  # torch: a signal may come meanwhile

            summary = run_experiment(plain, folder, judge=judge)
    _close(summary)
    return summary


def _output_folder() -> Path:
    """The folder that Hydra gives this run.

    Raises:
        RunnerError: if it has no name; Hydra would take "None".
    """
    output = Path(HydraConfig.get().runtime.output_dir)
    mode, key = ("sweep", "subdir") if _is_multirun() else ("run", "dir")
    if OmegaConf.is_missing(getattr(HydraConfig.get(), mode), key):
        with suppress(OSError):
            output.rmdir()
        raise RunnerError(f"hydra.{mode}.{key}=???: name a folder, or leave it out")
    return output


def _as_typed(overrides: Sequence[str]) -> list[str]:
    """Without resolving the interpolations that stand in them."""
    return [str(line) for line in OmegaConf.to_container(overrides, resolve=False) or []]


def find_repeat(config: Mapping[str, Any], output: Path) -> Path | None:
    """The unfinished run of this config that `resume=auto` resumes, None without one."""
    from runner.experiment.find_runs import repeat

    return repeat(config, output)


def resume_one(given: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Resume the run in a folder, or the latest one; its summary."""
    from runner.experiment.find_runs import latest
    from runner.records.folder import RunFolder

    if any(override.startswith("-") for override in overrides):
        raise RunnerError("resume takes one run folder and key=value overrides, no flags")
    path = latest(Path("outputs")) if given == "latest" else Path(os.path.expanduser(given))
    RunFolder.reopen(path)  # before torch is imported
    with _recorded(RunFolder(path.absolute())):
        from runner.experiment.resume import resume

        summary = resume(path, overrides)
    _close(summary)
    return summary


def refit_one(given: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Train a run's config anew on all links; the summary of the new run."""
    from runner.experiment.find_runs import latest_trained
    from runner.records.folder import RunFolder

    if any(override.startswith(("-", "resume=")) for override in overrides):
        raise RunnerError("refit takes one run folder and key=value overrides, no flags")
    path = latest_trained(Path("outputs")) if given == "latest" else Path(os.path.expanduser(given))
    RunFolder.reopen(path, called="refit=")  # before torch is imported
    from runner.prediction import refit

    wanted = refit.prepare(path, overrides)
    folder = refit.claim(wanted)
    with _recorded(folder), folder.recording_status():
        summary = refit.train(wanted, folder)
    _close(summary)
    return summary


@contextmanager
def _recorded(folder: RunFolder) -> Iterator[None]:
    """Lock a run's folder and log into it; every failure inside becomes one line."""
    from runner.storage.locks import locked

    try:
        with locked(folder.path), folder.logging():
            yield
    except (RunnerError, HydraException, KeyboardInterrupt, Pruned):
        raise
    except OSError as error:
        raise RunnerError(
            f"{error.filename or folder.path}: {error.strerror or error}; make room, or make it "
            f"writable, then: runner resume={folder.path}"
        ) from error
    except Interrupted:
        print(f"stopped; go on with: runner resume={folder.path}")
        raise KeyboardInterrupt from None
    except Exception as error:
        if is_out_of_memory(error):
            raise _out_of_memory(error) from error
        raise RunnerError(
            f"unexpected {type(error).__name__}: {error} (traceback in {folder.log})"
        ) from error


def _close(summary: Mapping[str, Any]) -> None:
    from rich.console import Console

    from runner.terminal.tables import closing_table

    closing_table(summary, Console(force_jupyter=False))


def _out_of_memory(error: Exception) -> RunnerError:
    return RunnerError(f"the memory does not suffice; {REMEDY} ({str(error).splitlines()[0]})")


def _describe(config: Mapping[str, Any], origins: Sequence[published.Origin]) -> None:
    from rich.console import Console

    from runner.cli.dry_run import describe

    describe(config, origins, Console())


def _fail(error: RunnerError) -> int:
    print(f"runner: {error}", file=sys.stderr)
    return 1


def _interrupted() -> int:
    print("runner: interrupted", file=sys.stderr)
    return EXIT_INTERRUPTED
