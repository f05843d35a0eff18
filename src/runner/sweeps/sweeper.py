"""The Hydra sweeper of `runner -m`: a grid or a search with its jobs in a ledger."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from runner.config import schema
from runner.config.validate import problems_of
from runner.errors import RunnerError
from runner.records.early_folders import EarlyFolders
from runner.storage.files import discard_empty
from runner.sweeps import definition as definitions
from runner.sweeps import jobs as grids
from runner.sweeps.definition import Definition
from runner.sweeps.fitting import Fitting
from runner.sweeps.job import JOB
from runner.sweeps.ledger import Job, Ledger
from runner.sweeps.overview import overview, show
from runner.sweeps.resume import is_unfinished
from runner.sweeps.same_data import refuse_other_data
from runner.sweeps.study import space
from runner.sweeps.work import Worker

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

log = logging.getLogger(__name__)


class JobsFailed(Exception):
    """Jobs of a sweep have failed; their errors are already printed."""


class LedgerSweeper(Sweeper):
    """Runs the unfinished jobs of its ledger, on any launcher; the node `hydra.sweeper`.

    Args:
        params: swept keys and their values, beside those of the command line.
        paired: groups of keys whose lists are paired instead of combined.
        retries: further attempts at a failed job, in this command.
        extend: whether a changed definition may add jobs to an existing sweep.
        resume: resume the newest unfinished sweep of this definition, if there is one.
        parallel: number of open jobs of a search; None asks the launcher.
        search: None for a grid, else its `trials`, `sampler`, `pruner` and `storage`.
    """

    def __init__(
        self,
        *,
        params: dict[str, Any],
        paired: list[list[str]],
        retries: int,
        extend: bool,
        resume: bool,
        parallel: int | None,
        search: dict[str, Any] | None,
    ) -> None:
        self.params = params
        self.paired = paired
        self.retries = retries
        self.extend = extend
        self.resume = resume
        self.parallel = parallel
        self.search = search

    config: DictConfig  # set by `setup`, as the next three
    hydra_context: HydraContext
    launcher: Launcher
    fitting: Fitting

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context = hydra_context
        self.config = config
        loader = hydra_context.config_loader
        self.fitting = Fitting(lambda overrides: loader.load_sweep_config(config, overrides))
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs, and show their results.

        Raises:
            RunnerError: before any job, if the sweep is invalid.
            JobsFailed: at the end, if a job has failed or is unfinished.
        """
        self._check()
        lines = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        self.fixed, swept = grids.split(parser.parse_overrides(lines))
        planned = grids.grid(swept, self.paired) if self.search is None else None
        if planned == []:
            raise RunnerError("the sweep has no jobs: one of its keys is given no values")
        if self.config.run.dry:
            self.launcher.launch(self._fit_overrides(planned or [{}]), initial_job_idx=0)
            return
        if self.search is not None and not swept:
            raise RunnerError(
                "search: there is nothing to search; give a key several values, as in "
                "'train.lr_encoder=tag(log,interval(1e-4,1e-2))'"
            )
        distributions = space(swept) if self.search is not None else {}
        ledger = self._open(self._definition(swept), planned)
        worker = Worker(ledger, self._launch, retries=self.retries)
        propose = self._proposals(worker, distributions) if self.search is not None else None
        trials = int(self.search["trials"]) if self.search is not None else None
        try:
            with overview(ledger, trials=trials, redraw=self._uses_other_processes()):
                worker.work(propose)
        except KeyboardInterrupt:
            show(ledger)
            raise
        if show(ledger):
            raise JobsFailed

    def _uses_other_processes(self) -> bool:
        """Whether other processes run the jobs; in this process, a run has its own display."""
        launcher = OmegaConf.select(self.config, "hydra.launcher._target_")
        alone = OmegaConf.select(self.config, "hydra.launcher.n_jobs") == 1
        return not alone and not str(launcher).endswith(".BasicLauncher")

    def _check(self) -> None:
        options: Any = OmegaConf.to_container(self.config.hydra.sweeper, resolve=True)
        given = {key: value for key, value in options.items() if not key.startswith("_")}
        problems = problems_of(schema.Sweeper, given, "hydra.sweeper")
        if problems:
            raise RunnerError("\n  ".join(["the config has an error:", *problems]))

    def _definition(self, swept: Mapping[str, Override]) -> Definition:
        config: Any = OmegaConf.to_container(self.config, resolve=False)
        search = dict(self.search) if self.search is not None else None
        return Definition(
            identity=secrets.token_hex(4),
            arguments=_keep_arguments(sys.argv[1:]),
            directory=os.getcwd(),
            config=definitions.without_machine({k: v for k, v in config.items() if k != "hydra"}),
            swept={key: str(o.input_line).partition("=")[2] for key, o in swept.items()},
            paired=self.paired,
            trials=search.pop("trials") if search else None,
            search=search,
        )

    def _open(self, wanted: Definition, planned: list[grids.Parameters] | None) -> Ledger:
        """Open the ledger of this sweep, new or resumed."""
        folder = Path(os.path.abspath(self.config.hydra.sweep.dir))
        if self.resume:
            folder = _find_unfinished(folder.parent, wanted) or folder
        with open_dict(self.config):  # the name may have a random part
            self.config.hydra.sweep.dir = str(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunnerError(
                f"hydra.sweep.dir={folder}: the sweep's folder cannot be made ({error.strerror}); "
                "choose another place with hydra.sweep.dir=…"
            ) from None
        try:
            if not (folder / definitions.NAME).exists():
                self._validate(planned or [])
                wanted.study(folder)  # checks that the folder can hold it
                wanted.begin(folder)  # unless another process was faster
            earlier = Definition.read(folder)
            wanted = replace(wanted, identity=earlier.identity)
            wanted.refuse_change(earlier, folder, extend=self.extend)
            if self.extend:
                self._validate(planned or [])
        except Exception:  # Hydra's too
            discard_empty(folder, keep=EarlyFolders.known)
            raise
        ledger = Ledger(folder)
        if ledger.exists():
            refuse_other_data(ledger, lambda job: self._overrides(job.parameters))
        if planned is not None:
            ledger.change(partial(_append_new_jobs, planned))
        if self.extend:
            wanted.write(folder)
        return ledger

    def _proposals(
        self, worker: Worker, distributions: Mapping[str, BaseDistribution]
    ) -> Callable[[list[Job]], list[Job]]:
        """Return a function that adds trials while the search has trials and free places left."""
        folder = worker.ledger.folder
        definition = Definition.read(folder)
        study, parallel = definition.study(folder), self._parallel()
        assert study is not None and definition.trials is not None
        trials = definition.trials

        def propose(known: list[Job]) -> list[Job]:
            jobs = list(known)
            for _ in range(parallel - len(worker.free(jobs))):
                parameters = study.propose(len(jobs), distributions, trials)
                if parameters is None:
                    break
                jobs.append(Job(len(jobs), parameters))
            return jobs

        return propose

    def _parallel(self) -> int:
        if self.parallel is not None:
            return self.parallel
        jobs = int(OmegaConf.select(self.config, "hydra.launcher.n_jobs") or 1)
        return jobs if jobs > 0 else _cores()

    def _launch(self, jobs: Sequence[Job]) -> None:
        if self.search is not None:
            self._validate([job.parameters for job in jobs])
        fitted = self._fit_overrides([job.parameters for job in jobs])
        batch = [
            [*overrides, *self._place(job), *self._threads()]
            for overrides, job in zip(fitted, jobs, strict=True)
        ]
        self.launcher.launch(batch, initial_job_idx=jobs[0].job)

    def _overrides(self, parameters: Mapping[str, str]) -> list[str]:
        return [*self.fixed, *(f"{key}={value}" for key, value in parameters.items())]

    def _place(self, job: Job) -> list[str]:
        """The number and the folder of the job, independent of the launcher's count."""
        subdir = job.folder
        if subdir is None:
            raw: Any = OmegaConf.to_container(self.config.hydra.sweep, resolve=False)
            subdir = str(raw["subdir"]).replace("${hydra.job.num}", str(job.job))
        return [
            f"hydra.sweep.dir={_quoted(self.config.hydra.sweep.dir)}",
            f"hydra.sweep.subdir={_quoted(subdir)}",
            f"+hydra.job.env_set.{JOB}='{job.job}'",
        ]

    def _threads(self) -> list[str]:
        """Threads for each job, if the launcher runs several jobs on this machine."""
        if self.config.hardware.threads is not None:
            return []
        cpus = OmegaConf.select(self.config, "hydra.launcher.ray.remote.num_cpus")
        if cpus:
            return [f"hardware.threads={max(int(cpus), 1)}"]
        beside = int(OmegaConf.select(self.config, "hydra.launcher.n_jobs") or 1)
        if beside == 1:
            return []
        share = _cores() // beside if beside > 0 else 1
        return [f"hardware.threads={max(share, 1)}"]

    def _validate(self, planned: Sequence[Mapping[str, str]]) -> None:
        self.validate_batch_is_legal(self._fit_overrides(planned))

    def _fit_overrides(self, planned: Sequence[Mapping[str, str]]) -> list[list[str]]:
        """The overrides of each job, without keys that only other jobs have."""
        every = [self._overrides(parameters) for parameters in planned]
        # A further job with the common overrides alone has the keys of the defaults.
        return self.fitting.of([*every, self.fixed])[:-1]


def _find_unfinished(root: Path, wanted: Definition) -> Path | None:
    """The newest unfinished sweep below `root` with exactly this definition."""
    found = sorted(root.glob(f"*/{definitions.NAME}"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        with suppress(RunnerError):
            wanted.refuse_change(Definition.read(path.parent), path.parent, extend=False)
            if is_unfinished(path.parent):
                return path.parent
    return None


def _append_new_jobs(planned: Sequence[grids.Parameters], known: Sequence[Job]) -> list[Job]:
    added = definitions.added(planned, [job.parameters for job in known])
    return [*known, *(Job(len(known) + n, parameters) for n, parameters in enumerate(added))]


def _keep_arguments(typed: Sequence[str]) -> list[str]:
    """The arguments that start the same sweep again, without those of folder and resume."""
    return [
        argument
        for argument in typed
        if argument not in ("-m", "--multirun")
        and not argument.startswith(
            ("hydra.sweep.dir=", "hydra.sweeper.resume=", "hydra.sweeper.extend=")
        )
    ]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
