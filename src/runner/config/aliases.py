"""The names that saved configs have known: what today's code calls what an old run folder names."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Where a class or function that a saved config names stood first, by where it stands today.
_FIRST = {
    **{
        f"runner.models.{module}": f"models.{module}"
        for module in (
            "completion", "convolution", "encoder", "gae", "gae_cn", "heuristics", "ncn", "ncn2",
            "ncn_diff", "ncnc",
        )
    },
    "runner.training.samplers": "runner.batches",
    "runner.training.encoding": "runner.encoding",
    "runner.training.evaluator": "runner.evaluate",
    "runner.training.negatives": "runner.negatives",
    "runner.tracking.wandb": "runner.tracking",
    "runner.tracking.tracker": "runner.tracking",
    "runner.models.message_passing.MessagePassing": "models.encoder.Encoder",
}  # fmt: skip
_TODAY = {
    **{first: today for today, first in _FIRST.items()},
    "models.encoder.Encoder": "runner.models.message_passing.MessagePassing",
    "runner.tracking.NullTracker": "runner.tracking.tracker.NullTracker",
    "runner.tracking.WandbTracker": "runner.tracking.wandb.WandbTracker",
}

# Where a key stands today, and where it stood first; in the order of the first configs.
_MOVES = (
    ("protocol.metrics", "dataset.protocol.metrics"),
    ("protocol.select", "dataset.protocol.select"),
    (
        "protocol.validation_edges_in_test_graph",
        "dataset.protocol.validation_edges_in_test_graph",
    ),
    ("protocol.official_split", "dataset.protocol.official_split"),
    ("protocol.permitted_overlaps", "dataset.protocol.permitted_overlaps"),
    ("negatives", "dataset.negatives"),
    ("protocol.tuned", "dataset.tuned"),
    ("protocol.tuned_for.completion", "dataset.tuned_for_completion"),
    ("protocol.tuned_for.warm_start", "dataset.tuned_for_warm_start"),
    ("protocol.warm_start_model", "dataset.warm_start_model"),
    ("protocol.published", "dataset.published"),
)


def is_of_before(saved: Mapping[str, Any]) -> bool:
    """Whether a saved config is of the time when protocols stood below datasets.

    Only there do our classes have the names of then: `models.ncn` in a config of today is a
    package of the user's own.
    """
    return "protocol" in (saved.get("dataset") or {})


def modernise(saved: Mapping[str, Any]) -> dict[str, Any]:
    """A saved config under today's names, with the keys that it is too old to have."""
    from runner.config.facts import later  # not at the top: slow

    config: dict[str, Any] = copy.deepcopy(dict(saved))
    if is_of_before(saved):
        config = _moved(today(saved), [(first, now) for now, first in _MOVES])
        config["protocol"]["split"] = copy.deepcopy(config["dataset"]["source"].get("split"))
    for name, value in [*later(config)]:
        *parents, last = name.split(".")
        node: Any = config
        for part in parents:
            node = node[part]
        node.setdefault(last, value)
    return config


def places_first(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config of today with every key at the first place that it ever had."""
    moved = _moved(config, _MOVES)
    if set(moved.get("protocol", ())) <= {"split"}:
        moved.pop("protocol", None)  # the source says the split too, where it has one
    return moved


def key_of_today(key: str) -> str:
    """Today's name of a config key, as it is typed."""
    for now, first in (*_MOVES, ("protocol.split", "dataset.source.split")):
        if key == first or key.startswith(f"{first}."):
            return now + key.removeprefix(first)
    return key


def _moved(config: Mapping[str, Any], moves: Sequence[tuple[str, str]]) -> dict[str, Any]:
    moved = copy.deepcopy(dict(config))
    for source, target in moves:
        *parents, last = source.split(".")
        node: Any = moved
        for part in parents:
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            continue
        value = node.pop(last)
        if not node and len(parents) > 1:
            del moved[parents[0]][parents[1]]
        *parents, last = target.split(".")
        node = moved
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return moved


def today(node: Any) -> Any:
    """A saved value, nested as it may be, with today's names of our classes and functions."""
    return _renamed(node, _TODAY)


def first(node: Any) -> Any:
    """A value of today with the names that its classes and functions had first.

    A name of the user's own that was once one of ours is marked, so that it stays another.
    """
    return _renamed(node, {**{old: f"own {old}" for old in _TODAY}, **_FIRST})


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, Mapping):
        return {key: _renamed(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_renamed(value, names) for value in node]
    if not isinstance(node, str):
        return node
    if "${" in node:
        return _in_interpolation(node, names)
    module, dot, name = node.rpartition(".")
    if node in names:
        return names[node]
    return f"{names[module]}.{name}" if dot and module in names else node


def _in_interpolation(text: str, names: Mapping[str, str]) -> str:
    """An interpolation with the names in it renamed, and its keys where they are today."""

    def renamed(match: re.Match[str]) -> str:
        word = match.group()
        module, _, name = word.rpartition(".")
        word = names.get(word) or (f"{names[module]}.{name}" if module in names else word)
        return key_of_today(word) if names is _TODAY else word

    return re.sub(r"[A-Za-z_][\w.]*", renamed, text)
