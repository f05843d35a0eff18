"""What a run's config changes against the shipped defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.resources import files
from typing import Any

import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from runner.config.facts import effect_of, sections
from runner.config.flat import flat
from runner.config.groups import GROUPS
from runner.keys import Effect
from runner.tracking.media import Table

COLUMNS = ("key", "value", "shipped", "origin")
_NO_DIFFERENCE = frozenset({Effect.MACHINE, Effect.PLACE})


def config_diff(
    config: Mapping[str, Any], overrides: Sequence[str], origins: Mapping[str, str]
) -> Table:
    """A row for each option and value that is not what the shipped config has.

    Shipped is what the same options of the groups (model, dataset, …) give without any other
    override, the dataset's published column included. Machine, tracker, places and the seed are no
    difference; a generator's seed that does not follow the seed is.

    Args:
        config: of the run, resolved.
        overrides: as typed.
        origins: where tuned values came from, by key, as in meta.json.
    """
    chosen = dict(_split(line) for line in overrides)
    options = {group: chosen[group] for group in GROUPS if group in chosen}
    defaults = _default_options()
    rows = [
        (group, option, str(defaults.get(group)), "override")
        for group, option in options.items()
        if group not in sections(Effect.MACHINE) and option != defaults.get(group)
    ]
    run = {f"run.{key}": config["run"][key] for key in ("model", "dataset")}
    given = [f"{key}={option}" for key, option in options.items()]
    shipped = flat(_composed(given, {**run, "seed": config["seed"]}), ".")
    actual = flat(config, ".")
    for key in sorted({*actual, *shipped}):
        before, now = shipped.get(key), actual.get(key)
        if before != now and not _is_left_out(key, actual):
            origin = origins.get(key) or ("override" if key in chosen else "follows from another")
            rows.append((key, str(now), str(before), origin))
    return Table(COLUMNS, rows)


def _is_left_out(key: str, values: Mapping[str, Any]) -> bool:
    """Machine and place, and what another key says too."""
    return effect_of(key, values) in _NO_DIFFERENCE or key == "seed" or key.startswith("run.")


def _split(override: str) -> tuple[str, str]:
    key, _, value = override.lstrip("+~").partition("=")
    return key, value.strip("'\"")


def _default_options() -> dict[str, str]:
    """The option of every group in the shipped config."""
    config = yaml.safe_load((files("runner.conf") / "config.yaml").read_text())
    return {
        g: o for entry in config["defaults"] if isinstance(entry, dict) for g, o in entry.items()
    }


def _composed(overrides: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """The shipped config with these options and values."""
    # Within a command that Hydra runs, Hydra knows our configs already.
    known = GlobalHydra.instance().is_initialized()
    with nullcontext() if known else initialize_config_module("runner.conf", version_base="1.3"):
        own = ["~local"] if (files("runner.conf") / "local" / "default.yaml").is_file() else []
        config = compose("config", overrides=[*overrides, *own])
    OmegaConf.set_struct(config, False)
    typed: Any = OmegaConf.to_container(config, resolve=False)
    needed = [key for key, value in flat(typed, ".").items() if value == "???"]
    for key, value in {**dict.fromkeys(needed), **values}.items():
        OmegaConf.update(config, key, value)
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
