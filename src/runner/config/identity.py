"""Which runs are repeats: those that differ in nothing but seed, machine and place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from runner.config import aliases
from runner.config.flat import flat


def experiment_id(config: Mapping[str, Any], *, warm_start: str | None) -> str:
    """What runs share that differ in nothing but seed, machine and place: the W&B group.

    It is taken over a canonical form: every key under its first name, and a key that came later
    left out where it has the value that stands for runs from before. So it is one id for a run of
    today and for its repeats from before.

    Args:
        warm_start: the mode in which the run has begun with another, None for none.
    """
    text = json.dumps([canonical(config), warm_start])
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{config['run']['dataset']}-{config['run']['model']}-{digest}"


def canonical(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the result of a run, as its config would first have said it."""
    from runner.config.facts import NOT_OF_THE_EXPERIMENT, effect_of, later  # not at the top: slow

    values, before = flat(config, "."), dict(later(config))

    def kept(node: Any, prefix: str = "") -> Any:
        if not isinstance(node, Mapping):
            return node
        return {
            key: kept(value, f"{prefix}{key}.")
            for key, value in node.items()
            if effect_of(f"{prefix}{key}", values) not in NOT_OF_THE_EXPERIMENT
            and not (f"{prefix}{key}" in before and value == before[f"{prefix}{key}"])
        }

    return aliases.first(aliases.places_first(kept(config)))
