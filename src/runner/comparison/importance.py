"""Importance of hyper-parameters in a search, by optuna's fANOVA."""

from __future__ import annotations

import math
import multiprocessing
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from runner.comparison.groups import ShortNames, varying
from runner.comparison.run import Run
from runner.comparison.settings import in_words

_SETTINGS = 4  # fewest different settings of a search
_RUNS = 10  # fewest runs for an estimate of importance
_TREES, _DEPTH = 32, 6  # larger values take a minute for a thousand runs, with the same result
SEED = "seed"


@dataclass(frozen=True)
class Search:
    """Finished runs of one model on one dataset with several settings.

    Attributes:
        metric: the selection metric.
        settings: number of different settings, without seeds.
        keys: config keys that vary, and `seed` if it varies.
        names: short names of the keys.
        objective: metric of each run on validation, in %.
        tests: metric of each run on test, in %.
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
        """The value of a key in each run; None if it is missing."""
        return [run.settings.get(key) for run in self.runs]


def searches(runs: Sequence[Run]) -> list[Search]:
    """A search for each dataset and model with at least 4 different settings in finished runs."""
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

    Keys that some runs lack are left out. Empty for fewer than 10 runs, or without variance.
    """
    return _use_short_names(search, _shares(*_select_columns(search)))


@contextmanager
def importances(many: Sequence[Search]) -> Iterator[Iterable[dict[str, float]]]:
    """The importance of each search, computed by other processes inside the `with`."""
    tasks = [_select_columns(search) for search in many]
    estimated = sum(bool(columns) for columns, _ in tasks)
    if not estimated or sys.platform != "linux":  # elsewhere a fork may fail at this point
        yield map(importance, many)
        return
    context = multiprocessing.get_context("fork")  # saves the imports
    processes = min(estimated, os.cpu_count() or 1)
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        with warnings.catch_warnings():
            # From Python 3.12 on, fork warns of numpy's threads, which are idle.
            warnings.simplefilter("ignore", DeprecationWarning)
            shares = pool.map(_shares, *zip(*tasks, strict=True))
        yield map(_use_short_names, many, shares)


def _use_short_names(search: Search, shares: Mapping[str, float]) -> dict[str, float]:
    names = dict(zip(search.keys, search.names, strict=True))
    return {names[key]: share for key, share in shares.items()}


def _select_columns(search: Search) -> tuple[dict[str, list[Any]], list[float]]:
    """The values of each common key, and the objective; empty if too little for an estimate."""
    rows = [i for i, value in enumerate(search.objective) if math.isfinite(value)]
    objective = [search.objective[i] for i in rows]
    if len(rows) < _RUNS or len({round(value, 9) for value in objective}) < 2:
        return {}, []
    columns = {
        key: [search.runs[i].settings[key] for i in rows]
        for key in search.keys
        if all(key in run.settings for run in search.runs)
    }
    return columns, objective


def _shares(columns: Mapping[str, Sequence[Any]], objective: Sequence[float]) -> dict[str, float]:
    if not columns:
        return {}
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {key: _distribution(values) for key, values in columns.items()}
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={key: _value(of[row], space[key]) for key, of in columns.items()},
                distributions=space,
                value=value,
            )
            for row, value in enumerate(objective)
        ]
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(
        n_trees=_TREES, max_depth=_DEPTH, seed=0
    )
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: float(share) for key, share in shares.items()}


def is_numeric(values: Sequence[Any]) -> bool:
    """Whether all values are finite numbers."""
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )


def is_logarithmic(values: Sequence[Any]) -> bool:
    """Whether a logarithmic scale suits the numbers."""
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
