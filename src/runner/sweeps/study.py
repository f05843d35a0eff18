"""The search of a sweep: an Optuna study that proposes parameters and gives hopeless runs up."""

from __future__ import annotations

import fcntl
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.utils import instantiate

from runner.errors import Pruned, RunnerError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

JOURNAL = "study.journal"
_JOB = "job"  # the user attribute of a trial that names its job


class Study:
    """A study of `trials` jobs, in the sweep's folder or where `storage` says.

    What it proposes depends on the number of the job and the results so far, not on how often the
    search was stopped: each proposal has a sampler of its own, seeded with both seed and number.

    Args:
        name: of the study in its storage.
        storage: a URL that Optuna knows; None is a journal in `folder`.
        sampler: makes an Optuna sampler from a seed.
        pruner: an Optuna pruner, None to give up nothing.
    """

    def __init__(
        self,
        *,
        folder: Path,
        name: str,
        storage: str | None,
        sampler: Callable[[int], Any] | None = None,
        pruner: Any = None,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self._study = optuna.create_study(
                storage=storage or _journal(folder),
                study_name=name,
                direction="maximize",
                pruner=pruner or optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
        except Exception as error:  # of many databases and their drivers
            where = f"storage={storage}" if storage else f"{folder / JOURNAL}"
            raise RunnerError(
                f"hydra.sweeper.{where}: no study can be kept there ({error})"
            ) from None
        self._sampler = sampler

    def propose(self, job: int, space: Mapping[str, BaseDistribution]) -> dict[str, str]:
        """The parameters of a job, as typed; the same again where it has some already."""
        trial = self._trial(job)
        if trial is None:
            assert self._sampler is not None
            self._study.sampler = self._sampler(job)
            asked = self._study.ask(dict(space))
            asked.set_user_attr(_JOB, job)
            return _typed(asked.params)
        return _typed(trial.params)

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
        found = [t for t in self._study.get_trials(deepcopy=False) if t.user_attrs.get(_JOB) == job]
        return found[-1] if found else None

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


def study_of(folder: Path, search: Mapping[str, Any]) -> Study:
    """The study of the sweep in `folder`.

    Args:
        search: its `sampler` and `pruner`, nodes for Optuna's classes, and `storage`.

    Raises:
        RunnerError: if its sampler, pruner or storage cannot be made.
    """
    sampler = dict(search["sampler"])
    seed = sampler.pop("seed", None)

    def seeded(number: int) -> Any:
        return _made("sampler", sampler, seed=None if seed is None else int(seed) + number)

    return Study(
        folder=folder,
        name=folder.name,
        storage=search["storage"],
        sampler=seeded,
        pruner=_made("pruner", search["pruner"]) if search["pruner"] else None,
    )


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
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        self._file = open(self._path, "a")  # noqa: SIM115
        with suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
