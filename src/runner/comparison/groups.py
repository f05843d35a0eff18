"""Groups of finished runs that are repeats of each other, and their labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.comparison.run import Run
from runner.comparison.settings import ABSENT, COLUMNS, in_words, resolve
from runner.config.facts import NOT_OF_THE_EXPERIMENT, effect_of
from runner.errors import RunnerError
from runner.keys import Effect

_LABEL_KEYS = 4  # as many as `sweep=completion` varies
_LABEL_LENGTH = 60


@dataclass(frozen=True)
class Group:
    """Finished runs of one model on one dataset, with one metric and one run for each seed.

    Attributes:
        label: the model, and the settings that differ from other groups of that model.
        metric: the compared metric.
        repeated: number of further runs, whose seeds another run of the group has.
        mixed: settings in which the runs of the group differ (with `--group-by`).
    """

    dataset: str
    model: str
    metric: str
    label: str
    experiment: str
    runs: Sequence[Run]
    repeated: int = 0
    mixed: Sequence[str] = field(default_factory=tuple)

    @property
    def protocol(self) -> str:
        """How the runs are judged."""
        return " / ".join(dict.fromkeys(run.protocol for run in self.runs))

    @property
    def tests(self) -> list[float]:
        """The metric on test of each run, in %."""
        return [100 * run.result.test[self.metric] for run in self.runs if run.result]

    @property
    def valids(self) -> list[float]:
        """The metric on validation of each run, in %; NaN if it was not recorded."""
        missing = float("nan")
        return [100 * run.result.valid.get(self.metric, missing) for run in self.runs if run.result]


def group(
    runs: Sequence[Run], *, keys: Sequence[str] | None = None, metric: str | None = None
) -> list[Group]:
    """Group finished runs by dataset, model and either experiment or values of config keys.

    Of two runs with the same experiment and seeds the later one in the list counts.

    Args:
        keys: config keys to group by instead of the experiment (everything but the seeds).
        metric: the metric to compare; None is the selection metric of each run.

    Raises:
        RunnerError: for a key that no run has, or a metric that no finished run has.
    """
    done = [run for run in runs if run.result is not None]
    known = {name for run in runs for name in run.settings}
    keys = None if keys is None else [_resolve(key, known) for key in keys]
    if metric is not None:
        done = _select_metric(done, metric)
    kept = {(run.dataset, run.model, run.experiment, run.seeds): run for run in done}
    counts: dict[tuple[Any, ...], int] = {}
    members: dict[tuple[Any, ...], list[Run]] = {}
    for run in done:
        assert run.result is not None
        of = (
            [run.experiment]
            if keys is None
            else [in_words(run.settings[key]) if key in run.settings else ABSENT for key in keys]
        )
        name = (run.dataset, run.model, metric or run.result.select, *of)
        counts[name] = counts.get(name, 0) + 1
        if kept[run.dataset, run.model, run.experiment, run.seeds] is run:
            members.setdefault(name, []).append(run)
    labels = _labels(members, keys)
    datasets = list(dict.fromkeys(name[0] for name in members))
    return [
        Group(
            dataset=name[0],
            model=name[1],
            metric=name[2],
            label=labels[name],
            experiment=found[0].experiment,
            runs=found,
            repeated=counts[name] - len(found),
            mixed=varying([run.settings for run in found]) if keys is not None else (),
        )
        for name, found in sorted(members.items(), key=lambda item: datasets.index(item[0][0]))
    ]


def _resolve(key: str, known: Iterable[str]) -> str:
    try:
        return resolve(key, known)
    except RunnerError as error:
        raise RunnerError(f"--group-by {error}") from None


def _select_metric(done: Sequence[Run], metric: str) -> list[Run]:
    found = [run for run in done if run.result and metric in run.result.test]
    if done and not found:
        known = sorted({name for run in done if run.result for name in run.result.test})
        raise RunnerError(f"--metric {metric}: no finished run has it; choose {', '.join(known)}")
    return found


def varying(many: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which settings differ, without seeds, places and the like.

    A key that always has the value of an earlier key (an interpolated copy) is left out.
    """
    columns: dict[tuple[Any, ...], str] = {}
    for name in _experiment_keys(many):
        first = many[0].get(name, ABSENT)
        if all(settings.get(name, ABSENT) == first for settings in many):
            continue  # true for most keys
        column = tuple(in_words(settings[name]) if name in settings else None for settings in many)
        if len(set(column)) > 1:
            columns.setdefault(column, name)
    return list(columns.values())


def is_identity(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether a setting changes the result of a run, and is no copy in a published column.

    Where a user's file lies changes nothing; what is in it is told by fingerprints.
    """
    left_out = {*NOT_OF_THE_EXPERIMENT, Effect.SOURCE}
    return effect_of(name, settings) not in left_out and not name.startswith(COLUMNS)


def _experiment_keys(many: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the settings that change results, in their order."""
    owners = {name: settings for settings in reversed(many) for name in settings}
    names = dict.fromkeys(name for settings in many for name in settings)
    return [name for name in names if is_identity(name, owners[name])]


def _labels(
    members: Mapping[tuple[Any, ...], Sequence[Run]], keys: Sequence[str] | None
) -> dict[tuple[Any, ...], str]:
    labels = {}
    families: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for name in members:
        families.setdefault(name[:3], []).append(name)
    for (_, model, _), names in families.items():
        many = [members[name][0].settings for name in names]
        short = ShortNames(many)
        if keys is not None:
            for name in names:
                pairs = zip(keys, name[3:], strict=True)
                told = [f"{short(key)}={value}" for key, value in pairs if key != "run.model"]
                labels[name] = " ".join([model, *told])
            continue
        if len(names) == 1:
            labels[names[0]] = model
            continue
        differ = varying(many)
        texts = [
            " ".join([model, *(f"{short(key)}={_brief(of, key)}" for key in differ)]) for of in many
        ]
        readable = 0 < len(differ) <= _LABEL_KEYS and max(map(len, texts)) <= _LABEL_LENGTH
        if not readable or len(set(texts)) < len(texts):
            texts = [f"{model} {name[3].rpartition('-')[2]}".rstrip() for name in names]
        labels.update(zip(names, texts, strict=True))
    return labels


def _brief(settings: Mapping[str, Any], key: str) -> str:
    text = in_words(settings[key]) if key in settings else ABSENT
    is_path = key.rpartition(".")[2] in ("_target_", "path")
    return text.rpartition(".")[2] if is_path else text


class ShortNames:
    """Returns the shortest ending of a key that no other key of these settings has."""

    def __init__(self, many: Sequence[Mapping[str, Any]]) -> None:
        self._counts: dict[str, int] = {}
        for name in _experiment_keys(many):
            for end in _list_endings(name):
                self._counts[end] = self._counts.get(end, 0) + 1

    def __call__(self, key: str) -> str:
        return next((end for end in _list_endings(key) if self._counts.get(end, 0) <= 1), key)


def _list_endings(name: str) -> Iterable[str]:
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
