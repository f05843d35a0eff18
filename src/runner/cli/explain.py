"""Hydra's and OmegaConf's errors as one sentence with the closest match."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Sequence

from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from runner.config.aliases import key_of_today
from runner.config.groups import GROUPS
from runner.config.hydra_messages import in_words

_RAY = "hydra_plugins.hydra_ray_launcher"  # Hydra imports the plugins that are installed

# What YAML takes for something else than a name.
_VALUES = ("null", "true", "false", "nan", "inf")


def explain(error: Exception, overrides: Sequence[str]) -> str:
    """What is wrong with the command line or a config file, and what to do about it."""
    first = in_words(error)
    if (
        "hydra/launcher/ray" in str(getattr(error, "missing_cfg_file", ""))
        and _RAY not in sys.modules
    ):
        return "hydra/launcher: Ray is an extra of its own: pip install 'link-runner[ray]'"
    if isinstance(error, MissingConfigException) and error.options:
        return _no_such_option(str(error.missing_cfg_file), error.options, overrides)
    if isinstance(error, OverrideParseException) or first.startswith("Config group override must"):
        return _unreadable(error, overrides)
    if first.startswith("Ambiguous value"):
        return (
            f"{_quoted(first)}: several values are several runs: runner -m …; a list is written "
            "'key=[a, b]'"
        )
    if first.startswith("Could not append"):
        return f"+{_quoted(first)}: there is such a key already; leave out the +"
    if first.startswith("Multiple values for"):
        return f"{first.split()[3].rstrip('.')}: every run has one already; leave out the +"
    if first.startswith("Exceeds the limit"):
        longest = max(overrides, key=len, default="")
        return f"{longest.partition('=')[0]}: the number has too many digits; no key takes that"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = _key(error, cause, overrides)
    if key in GROUPS:
        return f"{key}: it takes the name of an option, as in tracker=none"
    if key and ("not in struct" in str(cause) or "No match in the defaults list" in str(error)):
        known = [name for name in _known_keys(overrides) if name != key]
        moved = key_of_today(key)
        if moved != key:
            return f"{key}: this key stands elsewhere now; write {moved}=…"
        group, _, part = key.partition("/")
        if part and group in GROUPS:
            return f"{key}: the chosen {group} takes no such part; leave it out"
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"{key}: there is no such key{hint} (`runner --cfg job` prints all keys)"
    if first.startswith("Unable to configure"):
        return f"hydra.job_logging: {first} ({error.__cause__})"
    if cause is not error:
        return f"{first} ({in_words(cause)})"
    full_key = getattr(error, "full_key", None)
    return f"{full_key}: {first}" if full_key else first


def with_swept_keys(error: Exception, arguments: Sequence[str]) -> list[str] | None:
    """The arguments again, a key that only options of a swept group have swept with the group.

    Hydra composes a sweep without what it sweeps, and applies every other key to the default option
    of the group. None where this is not what is wrong.
    """
    key = _key(error, error.__cause__ or error, arguments)
    if key is None or not {"-m", "--multirun"} & set(arguments):
        return None
    parser = OverridesParser.create()
    typed = [a for a in arguments if "=" in a and not a.startswith("-")]  # not values of flags
    parsed = [parser.parse_override(a) for a in typed]
    group = key.split(".")[0]
    swept = [o for o in parsed if o.is_choice_sweep() and o.get_key_element() == group]
    options = [f"{group}={option}" for o in swept for option in o.sweep_string_iterator()]
    single = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
    if not any(key in _known_keys([*single, option]) for option in options):
        return None
    start = f"{key}="
    again = [
        f"{a.replace(start, f'{start}choice(', 1)})" if a.startswith(start) else a
        for a in arguments
    ]
    return again if again != list(arguments) else None


def _quoted(text: str) -> str:
    return text.partition("'")[2].rpartition("'")[0]


def _unreadable(error: Exception, overrides: Sequence[str]) -> str:
    wrong = _option_that_is_no_name(overrides)
    if wrong:
        return f"{wrong}: a group takes the name of an option, as in tracker=none"
    override = getattr(error, "override", None) or next(
        (line for line in overrides if line.partition("=")[0] in ("", "hydra")), ""
    )
    shown = override if override.strip() else repr(override)
    return (
        f"{shown}: this override cannot be read; write key=value, and quote a value with spaces or "
        "commas twice, as in 'key=\"a, b\"'"
    )


def _option_that_is_no_name(overrides: Sequence[str]) -> str | None:
    """The override that gives a config group a number, a truth, a list or null."""
    for line in overrides:
        key, _, value = line.partition("=")
        names = value.split(",") if key.lstrip("+~") in (*GROUPS, "experiment", "sweep") else []
        if any(not re.fullmatch(r"[A-Za-z_][\w-]*", name) or name in _VALUES for name in names):
            return line
    return None


def _no_such_option(missing: str, options: Sequence[str], overrides: Sequence[str]) -> str:
    group, _, option = missing.partition("/")
    part, _, option_of_part = missing.rpartition("/")
    typed = {override.partition("=")[0].lstrip("+") for override in overrides}
    if group not in (*GROUPS, "experiment", "sweep") or part in typed:
        group, option = part, option_of_part
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
    choices = [o for o in overrides if o.split("=", 1)[0] in GROUPS and "," not in o]
    try:
        with initialize_config_module("runner.conf", version_base="1.3"):
            config = compose("config", overrides=choices)
    except (HydraException, OmegaConfBaseException):
        return [*GROUPS, "experiment", "sweep", "resume"]
    return [*_keys(config, ""), "experiment", "sweep", "resume"]


def _keys(node: DictConfig, prefix: str) -> Iterator[str]:
    for key in node:
        name = f"{prefix}{key!s}"
        yield name
        child = node._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            yield from _keys(child, f"{name}.")
