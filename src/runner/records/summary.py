"""summary.json: the metrics of a run at the epoch chosen on validation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.config.published import column_of
from runner.config.schema import RunConfig
from runner.config.setting import differences
from runner.config.signatures import constant
from runner.errors import RunnerError
from runner.storage.seal import Damaged, read_json
from runner.training.state import TrainingState


def summary_of(
    config: RunConfig,
    meta: Mapping[str, Any],
    selection: str | None,
    state: TrainingState,
    peak: float,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of summary.json, for a run that has finished an epoch.

    Args:
        selection: the validation metric that chooses the epoch; None without evaluation.
        peak: memory in GiB.
        facts: of the evaluation, beside its metrics.
    """
    assert state.best is not None
    published = _published(config, meta)
    return {
        "model": config.run.model,
        "dataset": config.run.dataset,
        "seed": config.seed,
        "epochs": state.epoch - 1,
        "best_epoch": state.best["epoch"],
        "select": selection,
        "valid": state.best["valid"],
        "test": state.best["test"],
        **facts,
        "published": published,
        "differs": differences(config.model_dump(), meta) if published else [],
        "test_graph": meta["test_graph"],
        "seconds": round(state.seconds, 3),
        "peak_memory_gib": round(peak, 3),
    }


def read_summary(path: Path) -> dict[str, Any]:
    """summary.json of a finished run.

    Raises:
        RunnerError: if it cannot be read.
    """
    try:
        return read_json((path / "summary.json").read_text())
    except (OSError, ValueError, Damaged) as error:
        raise RunnerError(f"{path}/summary.json cannot be read ({error})") from None


def with_selected(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Add the values of the selection metric, under names that are the same for every dataset."""
    if not summary or summary["select"] is None:
        return dict(summary)
    selected = {split: summary[split][summary["select"]] for split in ("valid", "test")}
    return {**summary, "selected": selected}


def _published(config: RunConfig, meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """The published figure, if the run has the published sampler and warm start."""
    protocol = config.protocol
    trained = config.train.epochs > 0
    if config.train.all_links:  # nothing is measured
        return None
    if trained and config.sampler["_target_"] != protocol.tuned.get("sampler"):
        return None
    start = meta.get("init_from")
    if (start and start["mode"]) != published_warm_start(config):
        return None
    as_published = constant(config.model["_target_"], "published_with") or {}
    if any(config.model.get(key) != value for key, value in as_published.items()):
        return None
    figure = protocol.published.get(config.run.model)
    return None if figure is None else figure.model_dump(exclude_defaults=True)


def published_warm_start(config: RunConfig) -> str | None:
    """The `init_mode` of the published run of such a model; None without a warm start."""
    if column_of(config.model["_target_"]) is None:
        return None
    found = config.protocol.tuned_for["warm_start"]
    return found["train"]["init_mode"] if found else None
