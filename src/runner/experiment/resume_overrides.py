"""The overrides of a resume: place and length of a run may change, its computation never."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ValueType
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf

from runner.config.facts import CHANGEABLE, effect_of, has, sections
from runner.config.hydra_messages import short
from runner.config.schema import Train
from runner.config.shipped import compose_shipped
from runner.config.validate import absolute
from runner.errors import RunnerError
from runner.keys import Effect

_GROUPS = sections(Effect.MACHINE)
_OPTIONS = {"hardware": "cpu", "tracker": "none"}  # one of each, for an example
_SAVING = "train.{{{}}}".format(
    ",".join(key for key in Train.model_fields if effect_of(f"train.{key}", {}) is Effect.SAVING)
)


def apply(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The config of a run with the overrides of one resume.

    Raises:
        RunnerError: if an override is invalid or would change the computation.
    """
    changed = copy.deepcopy(dict(config))
    parsed = [(line, *parse(line)) for line in overrides]
    for line, key, _ in parsed:  # groups first, at any position, as in Hydra
        if key in _GROUPS:
            changed[key] = _compose_option(line, key)
    for line, key, value in parsed:
        if key not in _GROUPS:
            _set_value(changed, line, key, value)
    return changed


def with_resumes(config: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a run with the overrides of all its resumes, as meta.json has them."""
    changed = dict(config)
    for entry in meta["resumes"]:
        changed = apply(changed, entry["overrides"])
    return changed


def changeable(overrides: Sequence[str]) -> list[str]:
    """The overrides of a command that a resume may have."""
    parser = OverridesParser.create()
    named = [(line, parser.parse_override(line).key_or_group) for line in overrides]
    return [line for line, key in named if _may_change(key)]


def with_absolute_places(overrides: Sequence[str]) -> list[str]:
    """The overrides with absolute paths, which hold in any directory."""
    return [
        f"{key}={absolute(value)}" if _is_place(key) and value is not None else line
        for line in overrides
        for key, value in [parse(line)]
    ]


def parse(line: str) -> tuple[str, Any]:
    """Key and value of an override.

    Raises:
        RunnerError: if it cannot be read, or has several values.
    """
    try:
        override = OverridesParser.create().parse_override(line)
    except (OverrideParseException, HydraException, ValueError):  # ValueError: of endless numbers
        raise RunnerError(f"{short(line)}: this override cannot be read; write key=value") from None
    if override.is_sweep_override() or override.value_type not in (ValueType.ELEMENT, None):
        raise RunnerError(f"{line}: a resume has one run; give one value")
    if override.is_delete() or override.is_add() or override.is_force_add():
        raise RunnerError(f"{line}: a resume changes what is there; write key=value")
    key, value = override.key_or_group, override.value()
    if key in _GROUPS and not isinstance(value, str):
        raise RunnerError(f"{line}: it takes the name of an option, as in {key}={_OPTIONS[key]}")
    if key == "run.cache" and not (isinstance(value, str) and value):
        raise RunnerError(f"{line}: it takes a folder")
    return key, value


def lengths(overrides: Sequence[str]) -> list[str]:
    """The overrides of a resume that change the length of the run, and so its identity."""
    return [line for line in overrides if effect_of(parse(line)[0], {}) is Effect.LENGTH]


def files(overrides: Sequence[str]) -> list[str]:
    """The overrides of a resume that say where the user's own files lie now."""
    return [line for line in overrides if effect_of(parse(line)[0], {}) is Effect.SOURCE]


def _may_change(key: str) -> bool:
    of_a_group = key.startswith(tuple(f"{group}." for group in _GROUPS))
    return of_a_group or (has(key) and effect_of(key, {}) in CHANGEABLE)


def _is_place(key: str) -> bool:
    return effect_of(key, {}) in (Effect.PLACE, Effect.SOURCE)


def _set_value(config: dict[str, Any], line: str, key: str, value: Any) -> None:
    if not _may_change(key):
        raise RunnerError(
            f"{line}: a resumed run keeps its own config, only train.epochs (upwards), "
            f"{_SAVING}, hardware, tracker and the place of the data may change; start a new run"
        )
    names = [key]
    if _is_place(key):
        value = absolute(value)
        of_source = f"dataset.source.{key.rpartition('.')[2]}"
        names += [of_source] if _has_key(config, of_source) else []
    for name in names:
        if not _has_key(config, name):
            raise RunnerError(f"{line}: the run's config has no key {name}")
        *parents, last = name.split(".")
        node: Any = config
        for part in parents:
            node = node[part]
        node[last] = value


def _has_key(config: Mapping[str, Any], name: str) -> bool:
    node: Any = config
    for part in name.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True


def _compose_option(line: str, group: str) -> dict[str, Any]:
    """Compose the node of a group for the option in an override."""
    config = compose_shipped([line])
    return OmegaConf.to_container(config[group], resolve=True)  # type: ignore[return-value]
