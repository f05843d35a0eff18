"""The names that saved configs have known: what today's code calls what an old run folder names."""

from __future__ import annotations

from collections.abc import Mapping
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
}  # fmt: skip
_TODAY = {
    **{first: today for today, first in _FIRST.items()},
    "runner.tracking.NullTracker": "runner.tracking.tracker.NullTracker",
    "runner.tracking.WandbTracker": "runner.tracking.wandb.WandbTracker",
}


def modernise(saved: Mapping[str, Any]) -> dict[str, Any]:
    """A saved config under today's names, with the keys that it is too old to have."""
    from runner.config.facts import later  # not at the top: slow

    config: dict[str, Any] = today(saved)
    for name, value in [*later(config)]:
        *parents, last = name.split(".")
        node: Any = config
        for part in parents:
            node = node[part]
        node.setdefault(last, value)
    return config


def today(node: Any) -> Any:
    """A saved value, nested as it may be, with today's names of our classes and functions."""
    return _renamed(node, _TODAY)


def first(node: Any) -> Any:
    """A value of today with the names that its classes and functions had first."""
    return _renamed(node, _FIRST)


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, Mapping):
        return {key: _renamed(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_renamed(value, names) for value in node]
    if not isinstance(node, str):
        return node
    module, dot, name = node.rpartition(".")
    if node in names:
        return names[node]
    return f"{names[module]}.{name}" if dot and module in names else node
