"""`runner resume=<run folder> [overrides]`: go on with a run from its last checkpoint."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ValueType
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf

from runner.build import without_idle_training
from runner.checkpoint import newest
from runner.errors import RunnerError
from runner.experiment import read_summary, run_experiment
from runner.machine import describe_machine
from runner.run_folder import RunFolder, now
from runner.validate import absolute, check

log = logging.getLogger(__name__)

# What a resume may change: where and how long a run computes, never what it computes.
# The data may have moved: its fingerprint tells whether it is the same.
_DATA_PLACES = ("dataset.root", "dataset.path", "dataset.features")
_GROUPS = ("hardware", "tracker")
_SAVING = ("checkpoint_minutes", "checkpoint_steps", "keep_checkpoints", "grace_seconds")
_CHANGEABLE = (
    "train.epochs", *(f"train.{key}" for key in _SAVING), "run.cache", *_DATA_PLACES,
)  # fmt: skip


def resume(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Finish the run in `path` with its own saved config; its summary.

    The overrides of earlier resumes of the run still hold. Saved config and overrides stay as they
    are; the resume is appended to meta.json.

    Raises:
        RunnerError: if the folder is no resumable run or an override would change what it computes.
    """
    folder = RunFolder.reopen(path)
    found = newest(folder.checkpoints)
    if found is None:
        log.info("no checkpoint yet; the run begins anew")
        folder.start_over(describe_machine())
    else:
        folder.take_records(found[1]["records"])
    saved, meta = without_idle_training(folder.config()), folder.meta()
    earlier = [line for entry in meta["resumes"] for line in entry["overrides"]]
    before = _apply(saved, earlier)
    config = _apply(before, overrides)
    problems = check(config)
    if problems:
        raise RunnerError("\n  ".join(["the config has errors:", *problems]))
    if config["train"]["epochs"] < before["train"]["epochs"]:
        raise RunnerError(
            f"train.epochs={config['train']['epochs']}: a resumed run may only grow; it has "
            f"{before['train']['epochs']} of them"
        )
    if before["train"]["epochs"] == 0 < config["train"]["epochs"]:
        raise RunnerError(
            f"train.epochs={config['train']['epochs']}: this run evaluates its model without "
            "training (train.epochs=0); start a new run to train"
        )
    if found is not None and config["train"] == before["train"]:
        summary = _finished(folder, config["train"]["epochs"])
        if summary is not None:
            log.info("this run is finished; give train.epochs=… to go on with it")
            folder.repair()
            folder.status("done")
            return {**summary, "folder": str(folder.path), "upload": None}
    entry = {"time": now(), "overrides": list(overrides)}
    if config["train"]["epochs"] == 0:
        folder.forget_metrics()  # evaluated as a whole again
    if found is None:
        folder.repair()
    return run_experiment(config, folder, checkpoint=found and found[1], resume=entry)


def _finished(folder: RunFolder, epochs: int) -> dict[str, Any] | None:
    """The summary of a run that has all its epochs and is intact."""
    try:
        summary = read_summary(folder.path)
    except RunnerError:
        return None  # it is written again
    return summary if summary["epochs"] >= epochs else None


def _apply(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    changed = copy.deepcopy(dict(config))
    for line in overrides:
        key, value = _parse(line)
        if key in _GROUPS:
            changed[key] = _option(line, key)
            continue
        if key not in _CHANGEABLE and not key.startswith(tuple(f"{group}." for group in _GROUPS)):
            raise RunnerError(
                f"{line}: a resumed run keeps its own config, only train.epochs (upwards), "
                f"train.{{{','.join(_SAVING)}}}, hardware, tracker and the place of the data may "
                "change; start a new run"
            )
        if key in _DATA_PLACES:
            value = absolute(value)
            changed["dataset"]["source"][key.removeprefix("dataset.")] = value
        *parents, last = key.split(".")
        node: Any = changed
        for part in parents:
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            raise RunnerError(f"{line}: the run's config has no key {key}")
        node[last] = value
    return changed


def _option(line: str, group: str) -> dict[str, Any]:
    """The node of a group as the shipped option of an override gives it."""
    with initialize_config_module("runner.conf", version_base="1.3"):
        config = compose("config", overrides=[line])
    return OmegaConf.to_container(config[group], resolve=True)  # type: ignore[return-value]


def _parse(line: str) -> tuple[str, Any]:
    try:
        override = OverridesParser.create().parse_override(line)
    except (OverrideParseException, HydraException):
        raise RunnerError(f"{line}: this override cannot be read; write key=value") from None
    if override.is_sweep_override() or override.value_type not in (
        ValueType.ELEMENT,
        None,
    ):
        raise RunnerError(f"{line}: a resume goes on with one run; give one value")
    return override.key_or_group, override.value()
