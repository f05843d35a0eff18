"""What a search over hyper-parameters says of them: importance, by optuna's fANOVA."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runner.compare.groups import ShortNames, varying
from runner.compare.run import Run
from runner.compare.settings import in_words

_SETTINGS = 4  # different ones make a search
_RUNS = 10  # that a share of the variance is estimated from
_TREES, _DEPTH = 32, 6  # more and deeper ones take a minute for a thousand runs, and say the same
SEED = "seed"


@dataclass(frozen=True)
class Search:
    """Finished runs of one model on one dataset with several settings.

    Attributes:
        metric: the selection metric.
        settings: how many different ones, seeds aside.
        keys: config keys that vary, and `seed` where it does.
        names: short names of the keys.
        objective: of each run, the metric on validation in %.
        tests: of each run, on test in %.
    """

    dataset: str
    model: str
    metric: str
    runs: Sequence[Run]
    settings: int
    keys: Sequence[str]
    names: Sequence[str]
    objective: Sequence[float]
    tests: Sequence[float]

    def values(self, key: str) -> list[Any]:
        """The value of a key in each run; None where it is not there."""
        return [run.settings.get(key) for run in self.runs]


def searches(runs: Sequence[Run]) -> list[Search]:
    """One for each dataset and model of which finished runs have 4 different settings or more."""
    families: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.result is not None and run.result.select in run.result.valid:
            families.setdefault((run.dataset, run.model), []).append(run)
    found = []
    for (dataset, model), members in families.items():
        metric = Counter(run.result.select for run in members if run.result).most_common(1)[0][0]
        same = [run for run in members if run.result and run.result.select == metric]
        settings = [run.settings for run in same]
        keys = varying(settings)
        different = {tuple(in_words(of.get(key)) for key in keys) for of in settings}
        if not keys or len(different) < _SETTINGS:
            continue
        short = ShortNames(settings)
        seeds = [SEED] if len({of.get(SEED) for of in settings}) > 1 else []
        results = [run.result for run in same if run.result]
        found.append(
            Search(
                dataset=dataset,
                model=model,
                metric=metric,
                runs=same,
                settings=len(different),
                keys=[*keys, *seeds],
                names=[*map(short, keys), *seeds],
                objective=[100 * result.valid[metric] for result in results],
                tests=[100 * result.test[metric] for result in results],
            )
        )
    return found


def importance(search: Search) -> dict[str, float]:
    """The share of the validation metric's variance that each key explains, by short name.

    Keys that not every run has take no part. Empty where fewer than 10 runs, or no variance, would
    make it a guess.
    """
    complete = {
        key: name
        for key, name in zip(search.keys, search.names, strict=True)
        if all(key in run.settings for run in search.runs)
    }
    usable = [i for i, value in enumerate(search.objective) if math.isfinite(value)]
    spread = {round(search.objective[i], 9) for i in usable}
    if len(usable) < _RUNS or len(spread) < 2 or not complete:
        return {}
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    columns = {}
    for key in complete:
        values = search.values(key)
        columns[key] = [values[i] for i in usable]
    space = {key: _distribution(values) for key, values in columns.items()}
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={key: _value(columns[key][row], space[key]) for key in complete},
                distributions=space,
                value=search.objective[i],
            )
            for row, i in enumerate(usable)
        ]
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(
        n_trees=_TREES, max_depth=_DEPTH, seed=0
    )
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {complete[key]: float(share) for key, share in shares.items()}


def is_numeric(values: Sequence[Any]) -> bool:
    """Whether all values are finite numbers, so that they have an order and distances."""
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )


def is_logarithmic(values: Sequence[Any]) -> bool:
    """Whether numbers are better told apart by their ratio."""
    return (
        bool(values) and is_numeric(values) and min(values) > 0 and max(values) >= 10 * min(values)
    )


def _distribution(values: Sequence[Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if is_numeric(values):
        log = is_logarithmic(values)
        return FloatDistribution(float(min(values)), float(max(values)), log=log)
    return CategoricalDistribution(sorted({in_words(value) for value in values}))


def _value(value: Any, distribution: Any) -> Any:
    from optuna.distributions import FloatDistribution

    return float(value) if isinstance(distribution, FloatDistribution) else in_words(value)
