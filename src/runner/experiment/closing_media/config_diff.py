"""The differences between the config of a run and the shipped defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import yaml
from omegaconf import OmegaConf

from runner.config.facts import effect_of, sections
from runner.config.flat import flat
from runner.config.groups import GROUPS
from runner.config.shipped import shipped_run
from runner.keys import Effect
from runner.tracking.media import Table

COLUMNS = ("key", "value", "shipped", "origin")
_NO_DIFFERENCE = frozenset({Effect.MACHINE, Effect.PLACE})


def config_diff(
    config: Mapping[str, Any], overrides: Sequence[str], origins: Mapping[str, str]
) -> Table:
    """A row for each option and value that differs from the shipped config.

    The shipped config has the same options of the groups (model, dataset, …) without any other
    override, and includes the dataset's published column. Machine, tracker, places and the seed do
    not count as differences; a generator's seed that does not follow the seed does.

    Args:
        config: the resolved config of the run.
        overrides: as typed.
        origins: origin of each tuned value by key, as in meta.json.
    """
    chosen = dict(_split_override(line) for line in overrides)
    options = {group: chosen[group] for group in GROUPS if group in chosen}
    defaults = _default_options()
    rows = [
        (group, option, str(defaults.get(group)), "override")
        for group, option in options.items()
        if group not in sections(Effect.MACHINE) and option != defaults.get(group)
    ]
    run = {f"run.{key}": config["run"][key] for key in ("model", "dataset", "protocol")}
    given = [f"{key}={option}" for key, option in options.items()]
    composed = shipped_run(given, {**run, "seed": config["seed"]})
    resolved: Any = OmegaConf.to_container(composed, resolve=True)
    shipped = flat(resolved, ".")
    actual = flat(config, ".")
    for key in sorted({*actual, *shipped}):
        before, now = shipped.get(key), actual.get(key)
        if before != now and not _is_left_out(key, actual):
            origin = origins.get(key) or ("override" if key in chosen else "follows from another")
            rows.append((key, str(now), str(before), origin))
    return Table(COLUMNS, rows)


def _is_left_out(key: str, values: Mapping[str, Any]) -> bool:
    """Whether a key is about machine or place, or repeats another key."""
    return effect_of(key, values) in _NO_DIFFERENCE or key == "seed" or key.startswith("run.")


def _split_override(override: str) -> tuple[str, str]:
    key, _, value = override.lstrip("+~").partition("=")
    return key, value.strip("'\"")


def _default_options() -> dict[str, str]:
    """The option of every group in the shipped config."""
    config = yaml.safe_load((files("runner.conf") / "config.yaml").read_text())
    return {
        g: o for entry in config["defaults"] if isinstance(entry, dict) for g, o in entry.items()
    }
