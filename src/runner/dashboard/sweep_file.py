"""A preset of `conf/sweep` as a W&B Sweep, whose agents call `runner`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml
from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig, OmegaConf

from runner.config import metric_names, resolvers
from runner.config.flat import flat
from runner.errors import RunnerError
from runner.sweeps.jobs import split

METHODS = ("grid", "random", "bayes")
ANY_SELECTION = "selected/valid"
"""What the tracker calls the selection metric on validation, whatever it is."""

_OF_SAMPLER = {"optuna.samplers.RandomSampler": "random"}  # any other searches by its results
_METRIC = re.compile(rf"valid/{metric_names.PATTERN}|selected/valid")


@dataclass(frozen=True)
class SweepFile:
    """A W&B Sweep's definition, and what the user should know of it."""

    content: dict[str, Any]
    notes: list[str]

    def text(self) -> str:
        """The YAML that `wandb sweep` takes, the notes as comments."""
        comments = "".join(f"# {note}\n" for note in self.notes)
        return comments + yaml.safe_dump(self.content, sort_keys=False)


def sweep_file(
    preset: str, overrides: Sequence[str], *, method: str | None = None, metric: str | None = None
) -> SweepFile:
    """The W&B Sweep that tries what `runner -m sweep=<preset> <overrides>` would.

    Args:
        overrides: as for `runner -m`; those with several values become parameters too.
        method: of `METHODS`; None: grid, or what comes closest to the sampler of a search.
        metric: as W&B has it, `valid/hits@100`; None: the selection metric of the dataset.

    Raises:
        RunnerError: naming what a W&B Sweep cannot do, or what is wrong.
        HydraException: if the preset or an override is not there.
    """
    if metric is not None and not _METRIC.fullmatch(metric):
        raise RunnerError(
            f"--metric={metric}: a search goes by a validation metric; give "
            f"{ANY_SELECTION}, or valid/ with {metric_names.IN_WORDS}"
        )
    resolvers.register()
    with initialize_config_module("runner.conf", version_base="1.3"):
        parser = OverridesParser.create()
        fixed, _ = split(parser.parse_overrides(list(overrides)))
        config = _compose([f"sweep={preset}", *fixed])
        sweeper = config.hydra.sweeper
        lines = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
        fixed, swept = split(parser.parse_overrides([*lines, *overrides]))
        command = [*_of_preset(config, _compose(fixed)), *filter(_of_run, fixed)]
        selections = _selections(preset, fixed, swept)
    if sweeper.paired:
        raise RunnerError(
            f"hydra.sweeper.paired={OmegaConf.to_container(sweeper.paired)}: W&B Sweeps combine "
            "all values; leave it out, or run it with runner -m"
        )
    if not swept:
        raise RunnerError(f"sweep={preset}: nothing has several values; give some, as seed=0,1,2")
    method = method or _method(sweeper.search)
    notes = [f"wandb sweep <this file>, then wandb agent <the id it prints>; from sweep={preset}"]
    if metric is None:
        metric = f"valid/{selections.pop()}" if len(selections) == 1 else ANY_SELECTION
        if metric == ANY_SELECTION:
            notes.append(
                f"{ANY_SELECTION} is each run's selection metric, which here follows the size of "
                "the graph or differs between datasets; --metric names one"
            )
    if sweeper.search and sweeper.search.pruner:
        notes.append("the search's pruner is not exported: every run has all its epochs")
    if any(line.startswith("train.init_from=auto") for line in command):
        notes.append("W&B orders the runs: one that starts from another may come too early")
    content = {
        "name": preset,
        "project": config.tracker.get("project"),
        "entity": config.tracker.get("entity"),
        "program": "runner",
        "command": ["runner", *command, "${args_no_hyphens}"],
        "method": method,
        "metric": {"name": metric, "goal": "maximize"},
        "run_cap": int(sweeper.search.trials) if sweeper.search and method != "grid" else None,
        "parameters": {key: _parameter(key, o, method) for key, o in swept.items()},
    }
    return SweepFile({key: value for key, value in content.items() if value is not None}, notes)


def _compose(overrides: Sequence[str]) -> DictConfig:
    return compose("config", overrides=list(overrides), return_hydra_config=True)


def _of_run(line: str) -> bool:
    """Whether an override is one of a single run; the others steer `runner -m`."""
    key = line.lstrip("+~").partition("=")[0]
    return key not in ("sweep", "search") and not key.startswith("hydra")


def _of_preset(config: DictConfig, without: DictConfig) -> list[str]:
    """What the preset sets besides what it sweeps, as overrides."""
    with_it, before = (_values(node) for node in (config, without))
    changed = {k: v for k, v in with_it.items() if k not in before or before[k] != v}
    return [f"{key}={value}" for key, value in changed.items()]


def _values(config: DictConfig) -> dict[str, Any]:
    content: Any = OmegaConf.to_container(config, resolve=False)
    return flat({key: value for key, value in content.items() if key != "hydra"}, ".")


def _selections(preset: str, fixed: Sequence[str], swept: Mapping[str, Override]) -> set[Any]:
    """The selection metrics of the datasets; None among them where the graph's size decides."""
    datasets = swept["dataset"].sweep_string_iterator() if "dataset" in swept else [None]
    found = set()
    for dataset in datasets:
        of_one = [] if dataset is None else [f"dataset={dataset}"]
        found.add(_compose([f"sweep={preset}", *fixed, *of_one]).protocol.select)
    return found if None not in found else set()


def _method(search: DictConfig | None) -> str:
    return "grid" if search is None else _OF_SAMPLER.get(search.sampler._target_, "bayes")


def _parameter(key: str, override: Override, method: str) -> dict[str, Any]:
    value = override.value()
    if not isinstance(value, IntervalSweep):
        return {"values": [_number(text) for text in override.sweep_string_iterator()]}
    if method == "grid":
        raise RunnerError(
            f"{override.input_line}: an interval has no end of values; list some, or give "
            "--method=random or --method=bayes"
        )
    low, high = value.start, value.end
    assert low is not None and high is not None
    bounds = {"min": low, "max": high}
    whole, log = isinstance(low, int) and isinstance(high, int), "log" in value.tags
    if low >= high or (log and low <= 0):
        raise RunnerError(
            f"{override.input_line}: an interval goes upwards"
            + (", on a logarithmic scale from above 0" if log else "")
        )
    if log and whole:
        return {"distribution": "q_log_uniform_values", "q": 1, **bounds}
    if log:
        return {"distribution": "log_uniform_values", **bounds}
    return {"distribution": "int_uniform" if whole else "uniform", **bounds}


def _number(text: str) -> str | int | float:
    """A number where it is one, so that W&B can put it on an axis; else as it is typed."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
