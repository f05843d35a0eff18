"""The search of a sweep: an Optuna study that proposes parameters and gives hopeless runs up."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.utils import instantiate

from runner.errors import Pruned, RunnerError
from runner.storage.locks import alone

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

JOURNAL = "study.journal"
# The user attributes of a trial that name its job, and the sweep that the job is of.
_JOB, _SWEEP = "job", "sweep"


class Study:
    """What a sweep has of an Optuna study, which other sweeps may share.

    What it proposes depends on the number of the job and the results so far, not on how often the
    search was stopped: each proposal has a sampler of its own, seeded with both seed and number.

    Args:
        name: of the study in its storage.
        sweep: the identity of the sweep whose jobs are meant.
        storage: what Optuna keeps the study in.
        sampler: makes an Optuna sampler for a job's number.
        pruner: an Optuna pruner.
    """

    def __init__(
        self,
        *,
        name: str,
        sweep: str,
        storage: Any,
        sampler: Callable[[int], Any],
        pruner: Any,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="maximize",
            pruner=pruner,
            load_if_exists=True,
        )
        self._sampler = sampler
        self._sweep = sweep

    def propose(
        self, job: int, space: Mapping[str, BaseDistribution], total: int
    ) -> dict[str, str] | None:
        """The parameters of a job, as typed; the same again where it has some already.

        None where the study has `total` jobs, of all sweeps that share it.
        """
        trial = self._trial(job)
        if trial is not None:
            return _typed(trial.params)
        if len(self._jobs()) >= total:
            return None
        self._study.sampler = self._sampler(job)
        asked = self._study.ask(dict(space))
        asked.set_user_attr(_SWEEP, self._sweep)
        asked.set_user_attr(_JOB, job)
        return _typed(asked.params)

    def judge(self, job: int) -> Callable[[int, float], None]:
        """What a run is to tell its validation metric after each epoch, from the first one on.

        It raises `Pruned` where the study gives the run up.
        """
        import optuna

        trial = self._trial(job)
        if trial is None or trial.state == optuna.trial.TrialState.FAIL:
            trial = self._again(job, trial)
        running = optuna.trial.Trial(self._study, trial._trial_id)

        def told(epoch: int, metric: float) -> None:
            with warnings.catch_warnings():  # of epochs that a resume does again
                warnings.simplefilter("ignore")
                running.report(metric, epoch)
            if running.should_prune():
                raise Pruned(f"behind the other trials after epoch {epoch}")

        return told

    def tell(self, job: int, value: float | None, *, state: str) -> None:
        """Tell how a job has ended: `complete` with its value, `pruned` or `fail`."""
        import optuna

        trial = self._trial(job)
        if trial is not None:
            self._study.tell(
                trial.number,
                value if state == "complete" else None,
                state=optuna.trial.TrialState[state.upper()],
                skip_if_finished=True,
            )

    def _trial(self, job: int) -> FrozenTrial | None:
        return self._jobs().get((self._sweep, job))

    def _jobs(self) -> dict[tuple[str, int], FrozenTrial]:
        """The latest trial of each job."""
        trials = self._study.get_trials(deepcopy=False)
        named = [trial for trial in trials if _JOB in trial.user_attrs]
        return {(trial.user_attrs[_SWEEP], trial.user_attrs[_JOB]): trial for trial in named}

    def _again(self, job: int, failed: FrozenTrial | None) -> FrozenTrial:
        import optuna

        if failed is None:
            raise RunnerError(f"job {job}: its study does not know it; was its storage changed?")
        self._study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=failed.params,
                distributions=failed.distributions,
                user_attrs=failed.user_attrs,
            )
        )
        again = self._trial(job)
        assert again is not None
        return again


def study_of(folder: Path, sweep: str, search: Mapping[str, Any]) -> Study:
    """The study of the sweep in `folder`.

    Args:
        sweep: its identity.
        search: its `sampler` and `pruner`, nodes for Optuna's classes, `storage` and `study`.

    Raises:
        RunnerError: if its sampler, pruner or storage cannot be made.
    """
    import optuna

    sampler = dict(search["sampler"])
    seed = sampler.pop("seed", None)
    # Sweeps that share a study begin alike, and are not to propose the same.
    offset = zlib.crc32(sweep.encode()) if search["study"] else 0

    def seeded(number: int) -> Any:
        chosen = None if seed is None else (int(seed) + offset + number) % 2**32
        return _made("sampler", sampler, seed=chosen)

    pruner = search["pruner"]
    made = _made("pruner", pruner) if pruner else optuna.pruners.NopPruner()
    storage = search["storage"]
    try:
        return Study(
            name=search["study"] or sweep,
            sweep=sweep,
            storage=storage or _journal(folder),
            sampler=seeded,
            pruner=made,
        )
    except Exception as error:  # of many databases and their drivers
        where = f"hydra.sweeper.search.storage={storage}" if storage else f"{folder / JOURNAL}"
        reason = str(error).partition("\n")[0]
        raise RunnerError(f"{where}: no study can be kept there ({reason})") from None


def _made(name: str, node: Mapping[str, Any], **given: Any) -> Any:
    try:
        with warnings.catch_warnings():  # of what Optuna calls experimental
            warnings.simplefilter("ignore")
            return instantiate(dict(node), **given)
    except Exception as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise RunnerError(f"hydra.sweeper.search.{name}: it cannot be made ({cause})") from None


def space(swept: Mapping[str, Override]) -> dict[str, BaseDistribution]:
    """What is searched, in Hydra's words: `choice(…)`, `range(…)`, `interval(…)`, `tag(log, …)`.

    Raises:
        RunnerError: naming the key whose values cannot be searched.
    """
    return {key: _distribution(key, override) for key, override in swept.items()}


def _distribution(key: str, override: Override) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    value = override.value()
    try:
        if isinstance(value, IntervalSweep):
            log = "log" in value.tags
            low, high = value.start, value.end
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=log)
            return FloatDistribution(float(low), float(high), log=log)  # type: ignore[arg-type]
        if isinstance(value, RangeSweep) and isinstance(value.step, int):
            numbers = list(value.range())
            return IntDistribution(int(numbers[0]), int(numbers[-1]), step=value.step)
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    except (ValueError, IndexError, TypeError) as error:
        raise RunnerError(
            f"{override.input_line or key}: this cannot be searched ({error})"
        ) from None


def _typed(params: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else repr(value) for key, value in params.items()}


def _journal(folder: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = folder / JOURNAL
    lock = _Lock(path)
    with _held(lock):
        _drop_torn_line(path)
    backend = JournalFileBackend(str(path), lock_obj=lock)  # type: ignore[arg-type]
    return JournalStorage(backend)


@contextmanager
def _held(lock: _Lock) -> Iterator[None]:
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _drop_torn_line(path: Path) -> None:
    """Forget what a killed process has not written to its end; the next line would join it."""
    if not path.is_file():
        return
    with open(path, "r+b") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)


class _Lock:
    """A lock of the system's for Optuna's journal: a kill lets go of it, unlike Optuna's own."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f".{path.name}.lock")
        self._held = ExitStack()

    def acquire(self) -> bool:
        self._held.enter_context(alone(self._path))
        return True

    def release(self) -> None:
        self._held.close()
