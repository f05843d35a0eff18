"""A run's config as flat keys: `{"train": {"epochs": 100}}` is `train.epochs` -> 100."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

import yaml

from runner.config import aliases
from runner.errors import RunnerError

ABSENT = "absent"  # the value of a missing key
_SHORT = {"model": "run.model", "dataset": "run.dataset"}
# A dataset's published column repeats the values of other keys.
COLUMNS = ("protocol.tuned", "protocol.published")
# A top-level key with its block, in the YAML style of run folders.
_BLOCK = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
# The protocol below the dataset, see `aliases.is_of_before`.
_OLD_PROTOCOL = re.compile(r"^dataset:\n(?:[ #].*\n)*?  protocol:$", re.MULTILINE)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str) -> dict[str, Any]:
    """The flat settings of a config.yaml.

    Raises:
        ValueError: if it is no YAML mapping.
    """
    try:
        if _OLD_PROTOCOL.search(text):
            return flat(aliases.modernise(yaml.load(text, Loader=_Loader)))
        return {key: value for block in _BLOCK.split(text) for key, value in _block(block)}
    except (ValueError, yaml.YAMLError, LookupError, AttributeError, TypeError):
        # In another style: parse the whole text.
        return dict(_flat_yaml(text))


@cache
def _block(text: str) -> Sequence[tuple[str, Any]]:
    # Most blocks of many configs are the same.
    return _flat_yaml(text) if text.strip() else []


def _flat_yaml(text: str) -> Sequence[tuple[str, Any]]:
    try:
        found = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if found is None:
        return []
    if not isinstance(found, dict):
        raise ValueError("not a mapping")
    return list(flat(found).items())


def flat(node: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys; lists and empty mappings are values."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flat`."""
    config: dict[str, Any] = {}
    for name, value in settings.items():
        *parents, last = name.split(".")
        node = config
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return config


def with_overrides(settings: Mapping[str, Any], lines: Iterable[str]) -> dict[str, Any]:
    """The settings after a resume with these overrides (`key=value`)."""
    changed = dict(settings)
    for line in lines:
        key, _, text = line.partition("=")
        value = scalar(text)
        group = f"{key}."
        if any(name.startswith(group) for name in changed):  # another option of a group
            changed = {k: v for k, v in changed.items() if not k.startswith(group)}
        changed[key] = value
        source = f"dataset.source.{key.rpartition('.')[2]}"
        if key.startswith("dataset.") and source in changed:
            changed[source] = value
    return changed


def scalar(text: str) -> Any:
    """A value from a command line: a number, a truth value, null, or text."""
    try:
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError):
        return text
    if isinstance(value, str) or (value is None and not text):
        try:
            return float(text)  # 1e-3, which is text in YAML 1.1
        except ValueError:
            return text
    return value


def resolve(key: str, known: Iterable[str]) -> str:
    """The full name of a key: itself, `model` for `run.model`, or a unique ending of one.

    Raises:
        RunnerError: naming near matches, if no run has the key or several keys have this ending.
    """
    names = sorted(set(known))
    if key in names:
        return key
    if _SHORT.get(key) in names:
        return _SHORT[key]
    names = [name for name in names if not name.startswith(COLUMNS)]
    ends = [name for name in names if name.endswith(f".{key}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise RunnerError(f"{key}: several config keys end so; write {_either(ends)}")
    below = [name for name in names if name.startswith(f"{key}.")]
    if below:
        raise RunnerError(f"{key}: this is a group of config keys; write {_either(below)}")
    last = {name.rpartition(".")[2]: name for name in names}
    near = get_close_matches(key, names, n=3, cutoff=0.5)
    near += [last[end] for end in get_close_matches(key.rpartition(".")[2], last, n=1, cutoff=0.6)]
    remedy = f"did you mean {_either(list(dict.fromkeys(near)))}?" if near else (
        "`runner --cfg job` prints every key"
    )  # fmt: skip
    raise RunnerError(f"{key}: no run here has this config key; {remedy}")


def _either(names: Sequence[str]) -> str:
    shown = [*names[:4], "…"] if len(names) > 4 else list(names)
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def in_words(value: Any) -> str:
    """A value of a setting, as in a config file."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(map(in_words, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
