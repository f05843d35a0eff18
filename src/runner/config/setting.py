"""Where a run differs from the run that its published figure was measured with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.config.facts import effect_of, later
from runner.config.flat import flat
from runner.config.shipped import shipped_run
from runner.config.signatures import constant
from runner.keys import Effect

_COUNTS = frozenset({Effect.RESULT, Effect.LENGTH})
# They repeat what other keys say.
_COPIES = ("protocol.tuned", "protocol.warm_start_model", "hyperparameters")
# Where there is nothing to train, nothing follows from them.
_OF_TRAINING = ("train.", "sampler.", "negatives.", "objective.", "encoding.", "encoder.")
_NAME = re.compile(r"[\w.-]+")
_NOT_RECORDED = "not recorded"


def differences(config: Mapping[str, Any], meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys and the facts of the data in which a run is not the published one.

    The published run is the shipped config of the same model, dataset and protocol, with the
    arguments of `Predictor.published_with`. What changes no result (seeds, machine, places, memory)
    does not count, and neither does a key that is younger than the run.

    Args:
        config: of the run, resolved.
        meta: the content of its meta.json: `init_from`, `sizes` and `data`.

    Returns:
        A row of `key`, `value` and `published` for each difference. What was not recorded, or has
        no shipped config, differs too, with a row that has no `published`.
    """
    start = meta.get("init_from")
    try:
        run = config["run"]
        chosen = (str(run["model"]), str(run["dataset"]), str(run.get("protocol") or ""))
        shipped = _shipped(*chosen, str(start["mode"]) if start else None)
    except (HydraException, OmegaConfBaseException, LookupError, ValueError):
        return [_unrecorded("setting")]
    return [*_of_settings(flat(config, "."), shipped), *_of_data(shipped.data, meta)]


@dataclass(frozen=True)
class _Shipped:
    """The shipped config of a run.

    Attributes:
        values: flat.
        followed: the key or node that a key or node only repeats.
        young: the keys that runs from before them lack.
        data: what is known of the published data.
    """

    values: Mapping[str, Any]
    followed: Mapping[str, str]
    young: frozenset[str]
    data: Mapping[str, Any]


@cache
def _shipped(model: str, dataset: str, protocol: str, warm_start: str | None) -> _Shipped:
    options = {"model": model, "dataset": dataset, **({"protocol": protocol} if protocol else {})}
    for name in options.values():  # of a saved config, which anyone may have written
        if not _NAME.fullmatch(name):
            raise ValueError(name)
    run = {"run.model": model, "run.dataset": dataset, "run.protocol": protocol}
    composed = shipped_run(
        [f"{group}={name}" for group, name in options.items()],
        {**run, **({"train.init_from": warm_start} if warm_start else {})},
    )
    for key, value in (constant(str(composed.model["_target_"]), "published_with") or {}).items():
        OmegaConf.update(composed, f"model.{key}", value)
    raw: Any = OmegaConf.to_container(composed, resolve=False)
    resolved: Any = OmegaConf.to_container(composed, resolve=True)
    links = {key: re.fullmatch(r"\$\{([\w.]+)\}", str(v)) for key, v in flat(raw, ".").items()}
    return _Shipped(
        values=flat(resolved, "."),
        followed={key: match[1] for key, match in links.items() if match},
        young=frozenset(key for key, _ in later(resolved)),
        data=resolved["protocol"]["published_data"] or {},
    )


def _of_settings(values: Mapping[str, Any], shipped: _Shipped) -> Iterator[dict[str, Any]]:
    published = shipped.values
    trains = bool(published["train.epochs"])
    differing = {
        key
        for key in {*values, *published}
        if values.get(key) != published.get(key)
        and not (key in shipped.young and key not in values)
        and not key.startswith(_COPIES)
        and (trains or not key.startswith(_OF_TRAINING))
        and effect_of(key, values if key in values else published) in _COUNTS
    }
    replaced = tuple(k.removesuffix("_target_") for k in differing if k.endswith("._target_"))
    for key in sorted(differing):
        inside = key.startswith(replaced) and not key.endswith("._target_")
        if not inside and _origin(key, shipped.followed) not in differing:
            yield _row(key, values.get(key), published.get(key))


def _origin(key: str, followed: Mapping[str, str]) -> str | None:
    """The key that a key repeats, itself or within a node."""
    node, below = key, ""
    while node and node not in followed:
        node, _, last = node.rpartition(".")
        below = f".{last}{below}"
    return f"{followed[node]}{below}" if node else None


def _of_data(published: Mapping[str, Any], meta: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    recorded = {**(meta.get("sizes") or {}), **(meta.get("data") or {})}
    known = {key: value for key, value in published.items() if value is not None}
    for key, value in known.items():
        if key in recorded and recorded[key] != value:
            yield _row(f"data.{key}", recorded[key], value)
    if known and not known.keys() & recorded.keys():
        yield _unrecorded("data")


def _row(key: str, value: Any, published: Any) -> dict[str, Any]:
    return {"key": key, "value": value, "published": published}


def _unrecorded(what: str) -> dict[str, Any]:
    return {"key": what, "value": _NOT_RECORDED}
