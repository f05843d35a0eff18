"""Keys of a composed config that are right each, but do not go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.config import schema
from runner.config.flat import flat
from runner.config.groups import GROUPS
from runner.config.shipped import models_with
from runner.config.signatures import constant
from runner.config.targets import is_ours
from runner.keys import NO_COLUMNS

# Options that draw links.
_DRAWN = {"sampler": "target_link_removal", "negatives": "non_edges"}


def contradictions(plain: Mapping[str, Any]) -> Iterator[str]:
    """A line for each."""
    dataset, encoder, model = (plain.get(name) or {} for name in ("dataset", "encoder", "model"))
    source = dataset.get("source") or {}
    for key, value in dataset.items():
        is_given = value is not None and value != NO_COLUMNS
        if is_given and key not in ("name", "own", "source") and key not in source:
            yield f"dataset.{key}: there is no such key; this dataset's source does not read it"
    protocol = plain.get("protocol") or {}
    named = (plain.get("run") or {}).get("protocol")
    if protocol.get("split") is not None and source and "split" not in source:
        yield f"protocol: {named!r} does not fit: this dataset has a split; use protocol=official"
    if "split" in source and source["split"] is None:
        yield f"protocol: {named!r} does not fit: this dataset has no split; use protocol=random"
    for key in ("largest_component", "normalise_features"):
        if protocol.get(key) and source and key not in source:
            yield (
                f"protocol.{key}: true has no effect, this dataset's source does not read it; use "
                "protocol=random, or dataset=cora, citeseer or pubmed"
            )
    metrics, select = protocol.get("metrics"), protocol.get("select")
    if isinstance(metrics, list) and select is not None and select not in metrics:
        yield (
            f"protocol.select: {select!r} is not among protocol.metrics "
            f"({', '.join(map(str, metrics))}); select one of them or add it there"
        )
    yield from _list_idle_keys(plain)
    yield from _list_strays_of_validation(plain)
    # What a user's own model does with a width of that name is its own business.
    ours = all(is_ours(node.get("_target_")) for node in (encoder, model))
    widths = encoder.get("hidden"), model.get("hidden")
    reads = constant(str(model.get("_target_")), "reads_embeddings") is not False
    if ours and reads and None not in widths and widths[0] != widths[1]:
        yield (
            f"model.hidden: {widths[1]!r} is not the width of the embeddings, "
            f"encoder.hidden={widths[0]!r}; give encoder.hidden alone, the model follows it"
        )


def _list_strays_of_validation(plain: Mapping[str, Any]) -> Iterator[str]:
    """Learning from validation is for models of runs that have not seen it, and for them alone."""
    flags = {
        "model": "of_finished_runs",
        "objective": "learns_from_validation",
        "negatives": "of_validation",
    }
    targets = {name: str((plain.get(name) or {}).get("_target_")) for name in flags}
    fits = {name: constant(targets[name], flag) is True for name, flag in flags.items()}
    if any(fits.values()):
        named = " or ".join(models_with("of_finished_runs", True))
        for name in (name for name, does in fits.items() if not does):
            yield (
                f"{name}: {targets[name]} does not fit; model={named}, objective=validation and "
                "negatives=validation go together"
            )


def _list_idle_keys(plain: Mapping[str, Any]) -> Iterator[str]:
    """Keys of links where the objective takes none, and links that it misses."""
    targets = {name: str((plain.get(name) or {}).get("_target_")) for name in GROUPS}
    takes_links, takes_negatives = (
        constant(targets["objective"], f"takes_{what}") is not False
        for what in ("links", "negatives")
    )
    if takes_links and takes_negatives:
        why = "this objective learns from links"
    elif takes_links:
        why = "this objective learns from links without negatives"
    else:
        why = "this objective sees the whole graph at once"
    taken = {"sampler": takes_links, "negatives": takes_links and takes_negatives}
    for name, takes in taken.items():
        draws = constant(targets[name], "draws") is not False
        if draws and not takes:
            yield f"{name}: {targets[name]} has no effect, {why}; give {name}=none"
        elif takes and not draws:
            yield f"{name}: {targets[name]} does not fit, {why}; give {name}={_DRAWN[name]}"
    if all(taken.values()):
        return
    values = flat(plain, ".")
    idle: dict[str, Any] = {"negatives.per_positive": 1, "negatives.redraw": True}
    if not takes_links:
        idle = {"train.batch_size": None, "sampler.batch_size": None, **idle}
    for key, nothing in idle.items():
        if key in values and values[key] != nothing:
            yield f"{key}: {values[key]!r} has no effect, {why}; leave it out"
    if not takes_links and targets["encoding"] != schema.FULL_ENCODING["_target_"]:
        yield f"encoding: {targets['encoding']} does not fit, {why}; give encoding=full"
