"""Which runs are repeats: those that differ in nothing but seed, machine and place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from runner.config import aliases

# What says where, how fast and how often a run computes, not what; seeds are told apart otherwise.
NO_PART_OF_IT = frozenset({
    "seed", "dataset.source.split.seed", "model.completion.seed",
    "dataset.root", "dataset.source.root", "dataset.source.cache",
    "train.checkpoint_minutes", "train.checkpoint_steps", "train.keep_checkpoints",
    "train.grace_seconds", "train.init_from",
})  # fmt: skip
_NO_PART_AS_A_WHOLE = {"seeds", "hardware", "tracker", "run", "dataset.published"}


def experiment_id(config: Mapping[str, Any], *, warm_start: str | None) -> str:
    """What runs share that differ in nothing but seed, machine and place: the W&B group.

    Args:
        warm_start: the mode in which the run has begun with another, None for none.
    """
    from runner.config.schema import (
        FULL_ENCODING,
        Completion,
        Encoder,
        Strict,
        Train,
    )  # not at the top: slow

    # Keys with a default in the schema came later: runs from before have none of them.
    nodes: dict[str, type[Strict]] = {
        "model.completion": Completion, "train": Train, "encoder": Encoder,
    }  # fmt: skip
    later = {
        f"{node}.{name}": field.default
        for node, schema in nodes.items()
        for name, field in schema.model_fields.items()
        if not field.is_required()
    } | {"encoding": FULL_ENCODING}
    dropped = NO_PART_OF_IT | _NO_PART_AS_A_WHOLE
    text = json.dumps([aliases.first(_without(config, dropped, later)), warm_start])
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{config['run']['dataset']}-{config['run']['model']}-{digest}"


def _without(
    node: Any, dropped: frozenset[str], unless_changed: Mapping[str, Any], prefix: str = ""
) -> Any:
    """Without these keys, and without those that have the value that runs had before they came."""
    if not isinstance(node, Mapping):
        return node
    return {
        key: _without(value, dropped, unless_changed, f"{prefix}{key}.")
        for key, value in node.items()
        if (name := f"{prefix}{key}") not in dropped
        and not (name in unless_changed and value == unless_changed[name])
    }
