"""What the tracker of a run is told at its beginning, and at its end however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from runner.config.schema import RunConfig
from runner.errors import Pruned
from runner.experiment.build import build
from runner.experiment.parts import Parts
from runner.records.folder import RunFolder
from runner.records.summary import with_selected
from runner.tracking.background import SafeTracker
from runner.tracking.tracker import RunInfo

_LONGEST_TAG = 64  # limit of W&B


@dataclass
class Tracked:
    """A tracker, and the content of its closing summary."""

    tracker: SafeTracker
    result: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)


@contextmanager
def open_tracker(
    config: Mapping[str, Any],
    folder: RunFolder,
    parts: Parts,
    *,
    resumed: bool,
    summarise: Callable[[], dict[str, Any]],
) -> Iterator[Tracked]:
    """Start the tracker of the run, and finish it at the end in any case.

    Args:
        summarise: gives what is known of a run that ends early, empty for nothing.
    """
    meta, run = folder.meta(), parts.config.run
    tracked = Tracked(SafeTracker(build("tracker", parts.config.tracker)))
    tracked.tracker.start(
        RunInfo(
            folder=folder.path,
            run_id=meta["run_id"],
            name=f"{run.model}-{run.dataset}-seed{parts.config.seed}",
            group=_group(parts.config, meta),
            tags=_tags(parts.config, meta),
            config={**config, "sweep": meta.get("sweep") or {}},
            resumed=resumed,
            epochs=parts.epochs,
        )
    )
    exit_code = 1
    try:
        yield tracked
        exit_code = 0
    except Pruned:
        exit_code = 0  # the search has the metrics that it needs
        raise
    finally:
        # A run that stops early has a best epoch too.
        tracked.result = tracked.result or summarise()
        summary = {**with_selected(tracked.result), **tracked.profile}
        tracked.tracker.finish(summary, exit_code=exit_code)


def _group(config: RunConfig, meta: Mapping[str, Any]) -> str:
    """The repeats of a run, for W&B, where no fingerprints keep two graphs apart."""
    if not config.dataset.own:
        return str(meta["experiment"])
    dataset = config.dataset
    kinds = ["graph", *(["features"] if dataset.features or dataset.nodes else [])]
    kinds += ["split"] if "split" in meta["data"] else []
    return "-".join([meta["experiment"], *(meta["data"][kind][:8] for kind in kinds)])


def _tags(config: RunConfig, meta: Mapping[str, Any]) -> list[str]:
    sampler = str(config.sampler["_target_"]).rsplit(".", 1)[-1]
    encoder = [node["path"] for node in config.encoder.values() if _names_class(node)]
    classes = [str(path).rsplit(".", 1)[-1] for path in encoder]
    sweep = f"sweep:{meta['sweep']['name']}" if meta.get("sweep") else ""
    tags = [
        config.run.model,
        config.run.dataset,
        *(c.rsplit(".", 1)[-1] for c in classes),
        sampler,
        sweep,
    ]
    return [tag[:_LONGEST_TAG] for tag in tags if tag]


def _names_class(node: Any) -> bool:
    return isinstance(node, Mapping) and "path" in node
