"""`runner resume=<run folder> [overrides]`: go on with a run from its last checkpoint."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ValueType
from hydra.errors import OverrideParseException

from runner.errors import RunnerError
from runner.experiment import read_summary, run_experiment
from runner.run_folder import RunFolder, now
from runner.validate import check

log = logging.getLogger(__name__)

# What a resume may change: where and how long a run computes, never what it computes.
_CHANGEABLE = ("hardware.", "tracker.", "train.epochs", "train.checkpoint_minutes", "run.cache")


def resume(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Finish the run in `path` with its own saved config; its summary.

    The overrides of earlier resumes of the run still hold. Saved config and overrides stay as they
    are; the resume is appended to meta.json.

    Raises:
        RunnerError: if the folder is no resumable run or an override would change what it computes.
    """
    folder = RunFolder.reopen(path)
    saved, meta = folder.config(), folder.meta()
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
    if (folder.path / "summary.json").exists() and config["train"] == before["train"]:
        summary = read_summary(folder.path)
        if summary["epochs"] >= config["train"]["epochs"]:
            log.info("this run is finished; give train.epochs=… to go on with it")
            return {**summary, "folder": str(folder.path), "upload": None}
    folder.write_meta(
        {**meta, "resumes": [*meta["resumes"], {"time": now(), "overrides": list(overrides)}]}
    )
    return run_experiment(config, folder, resumed=True)


def _apply(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    changed = copy.deepcopy(dict(config))
    for line in overrides:
        key, value = _parse(line)
        if not key.startswith(_CHANGEABLE):
            raise RunnerError(
                f"{line}: a resumed run keeps its own config, only train.epochs (upwards), "
                "train.checkpoint_minutes, hardware.* and tracker.* may change; start a new run"
            )
        *parents, last = key.split(".")
        node = changed
        for part in parents:
            node = node.get(part, {})
        if last not in node:
            raise RunnerError(f"{line}: the run's config has no key {key}")
        node[last] = value
    return changed


def _parse(line: str) -> tuple[str, Any]:
    try:
        override = OverridesParser.create().parse_override(line)
    except OverrideParseException:
        raise RunnerError(f"{line}: this override cannot be read; write key=value") from None
    if override.is_sweep_override() or override.value_type not in (
        ValueType.ELEMENT,
        None,
    ):
        raise RunnerError(f"{line}: a resume goes on with one run; give one value")
    return override.key_or_group, override.value()
