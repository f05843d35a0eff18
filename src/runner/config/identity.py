"""Which runs are repeats: those that differ in nothing but seed, machine and place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from runner.config import aliases
from runner.config.flat import flat
from runner.keys import Effect


def experiment_id(config: Mapping[str, Any], *, warm_start: str | None) -> str:
    """What runs share that differ in nothing but seed, machine and place: the W&B group.

    It is taken over a canonical form: every key under its first name, and a key that came later
    left out where it has the value that stands for runs from before. So it is one id for a run of
    today and for its repeats from before.

    Of a user's own graph (`dataset.own`) it has neither the name nor the place: two runs of one id
    are repeats where the fingerprints of their graphs and features agree too.

    Args:
        warm_start: how the run has begun with another (:func:`kind_of_start`), None for none.
    """
    text = json.dumps([canonical(config), warm_start])
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{config['run']['dataset']}-{config['run']['model']}-{digest}"


def kind_of_start(start: Mapping[str, Any] | None) -> str | None:
    """What repeats share of the run that they have begun with; None where there is none.

    The mode, and the experiment of that run where it is recorded.

    Args:
        start: `init_from` of meta.json.
    """
    if start is None:
        return None
    of = f" of {start['experiment']}" if "experiment" in start else ""
    return f"{start['mode']}{of}"


def canonical(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the result of a run, as its config would first have said it."""
    from runner.config.facts import NOT_OF_THE_EXPERIMENT, effect_of, later  # not at the top: slow
    from runner.config.schema import RunConfig

    # In the order of the first configs, whatever the order of composition.
    config = {key: config[key] for key in RunConfig.model_fields if key in config}
    values, before = flat(config, "."), dict(later(config))
    own = bool(values.get("dataset.own"))
    # The name tells data of which no fingerprint was taken.
    telling = frozenset() if own else frozenset({"dataset.name"})

    def kept(node: Any, prefix: str = "") -> Any:
        if not isinstance(node, Mapping):
            return node
        found = {}
        for key, value in node.items():
            name = f"{prefix}{key}"
            effect = effect_of(name, values)
            if effect in NOT_OF_THE_EXPERIMENT and name not in telling:
                continue
            if name in before and value == before[name]:
                continue
            is_place = own and effect is Effect.SOURCE
            found[key] = value is not None if is_place else kept(value, f"{name}.")
        return found

    return aliases.first(aliases.places_first(kept(config)))


def is_on_a_file(values: Mapping[str, Any]) -> bool:
    """Whether a run, of any age and with these flat settings, is on a user's own graph."""
    from runner.config.facts import effect_of

    path = "dataset.source.path"
    return path in values and effect_of(path, values) is Effect.SOURCE


def content_id(config: Mapping[str, Any], *, warm_start: str | None) -> str:
    """The experiment of a run on a user's own graph without the data: the same at any age."""
    own = {**config, "dataset": {**config["dataset"], "own": True}}
    return experiment_id(own, warm_start=warm_start).rpartition("-")[2]
