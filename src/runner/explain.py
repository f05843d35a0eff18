"""Hydra's and OmegaConf's errors as one sentence with the closest match."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from hydra import compose, initialize_config_module
from hydra.errors import (
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

_GROUPS = ("dataset", "encoder", "evaluator", "hardware", "model", "sampler", "tracker", "train")


def explain(error: Exception, overrides: Sequence[str]) -> str:
    """What is wrong with the command line or a config file, and what to do about it."""
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return _no_such_option(group, option, error.options)
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: this override cannot be read; write key=value, and quote a value "
            "with spaces or commas twice, as in 'key=\"a, b\"'"
        )
    wrong = _option_that_is_no_name(overrides) if isinstance(error, ValueError) else None
    if wrong:
        return f"{wrong}: a group takes the name of an option, as in tracker=none or model=ncn"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = _key(error, cause, overrides)
    if key and ("not in struct" in str(cause) or "No match in the defaults list" in str(error)):
        known = [name for name in _known_keys(overrides) if name != key]
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"{key}: there is no such key{hint} (`runner --cfg job` prints all keys)"
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{first} ({str(cause).splitlines()[0]})" if cause is not error else first


def _option_that_is_no_name(overrides: Sequence[str]) -> str | None:
    """The override that gives a config group a number, a list or null."""
    groups = (*_GROUPS, "experiment", "sweep")
    for line in overrides:
        key, _, value = line.partition("=")
        names = value.split(",") if key in groups else []
        if any(not re.fullmatch(r"[A-Za-z_][\w-]*", name) or name == "null" for name in names):
            return line
    return None


def _no_such_option(group: str, option: str, options: Sequence[str]) -> str:
    close = difflib.get_close_matches(option, options, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{group}={option}: there is no such {group}; {hint}known: {', '.join(sorted(options))}"


def _key(error: Exception, cause: BaseException, overrides: Sequence[str]) -> str | None:
    quoted = re.search(r"Could not override '([^']+)'", str(error))
    if quoted:
        name = quoted.group(1).lstrip("+~")
        return name.split("@", 1)[0]
    full_key = getattr(cause, "full_key", None)
    if full_key and any(o.startswith(full_key) for o in overrides):
        return str(full_key)
    return None


def _known_keys(overrides: Sequence[str]) -> list[str]:
    """The keys of the config that the user's choices of groups would give, and the groups."""
    choices = [o for o in overrides if o.split("=", 1)[0] in _GROUPS and "," not in o]
    try:
        with initialize_config_module("runner.conf", version_base="1.3"):
            config = compose("config", overrides=choices)
    except (HydraException, OmegaConfBaseException):
        return [*_GROUPS, "experiment", "sweep", "resume"]
    return [*_keys(config, ""), "experiment", "sweep", "resume"]


def _keys(node: DictConfig, prefix: str) -> Iterator[str]:
    for key in node:
        name = f"{prefix}{key!s}"
        yield name
        child = node._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            yield from _keys(child, f"{name}.")
