"""A dataset's sizes, remembered from the last time it was loaded, for `run.dry=true`."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.storage.checksums import read_json, write_json

if TYPE_CHECKING:
    from runner.data.link_data import LinkData

log = logging.getLogger(__name__)


def sizes_of(data: LinkData) -> dict[str, Any]:
    return {
        "nodes": data.num_nodes,
        "num_features": data.features.shape[-1],
        "num_categories": data.num_categories,
        "training links": data.train.shape[1],
        "validation links": data.valid.positive.shape[1],
        "test links": data.test.positive.shape[1],
    }


def in_words(data: LinkData) -> str:
    """The line that every run says about its data: how much, and of which kind."""
    sizes = sizes_of(data)
    parts = (sizes[f"{part} links"] for part in ("training", "validation", "test"))
    links = data.facts["links"] if "links" in data.facts else sum(parts)
    if data.num_categories is None:
        input_ = f"{sizes['num_features']} features"
    elif data.num_categories == data.num_nodes:
        input_ = "learned embeddings"
    else:
        input_ = f"learned embeddings of {data.num_categories} categories"
    kind = "directed" if data.directed else "undirected"
    kind += ", bipartite" if data.num_sources is not None else ""
    return f"{data.num_nodes} nodes, {links} links, {kind}, unweighted; {input_}"


def remember(source: Mapping[str, Any], cache: str, data: LinkData) -> None:
    """Keep the sizes of a source's dataset in the cache; a cache that fails is no error."""
    try:
        write_json(_path(source, cache), sizes_of(data))
    except OSError as error:
        log.debug("no statistics kept: %s", error)


def recall(source: Mapping[str, Any], cache: str) -> dict[str, Any] | None:
    """The remembered sizes, or None where there are none or they are damaged."""
    try:
        return read_json(_path(source, cache))
    except (OSError, ValueError):
        return None


def _path(given: Mapping[str, Any], cache: str) -> Path:
    # Another seed's split has the same sizes.
    source = dict(given)
    source["split"] = {k: v for k, v in source.get("split", {}).items() if k != "seed"}
    digest = hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:16]
    return Path(cache) / "statistics" / f"{digest}.json"
