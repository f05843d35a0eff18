"""`runner resume=<run folder> [overrides]`: resume a run from its last checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.config.targets import foreign_targets, refuse_foreign
from runner.config.validate import check
from runner.errors import RunnerError
from runner.experiment.build import without_idle_training
from runner.experiment.resume_overrides import apply, parse, with_absolute_places, with_resumes
from runner.experiment.run import run_experiment
from runner.machine.provenance import describe_machine
from runner.records.checkpoint import newest, set_damaged_aside
from runner.records.folder import RunFolder, now
from runner.records.recorder import Judge
from runner.records.summary import read_summary
from runner.training.loop import out_of_patience
from runner.training.state import TrainingState

log = logging.getLogger(__name__)


def resume(
    path: Path,
    overrides: Sequence[str],
    *,
    trusted: Collection[str] = (),
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Finish the run in `path` with its own saved config; return its summary.

    The overrides of earlier resumes of the run still apply. Saved config and overrides do not
    change; the resume is appended to meta.json.

    Args:
        trusted: classes and functions, by dotted path, that the saved config may name. An override
            that repeats a name of the saved config also permits it.
        judge: as for `run_experiment`.

    Raises:
        RunnerError: if the folder is no resumable run or an override would change its computation.
    """
    folder = RunFolder.reopen(path)
    found = newest(folder.checkpoints)
    if found is None:
        summary = _summary_without_checkpoints(folder, overrides)
        if summary is not None:
            return summary
        log.info("no checkpoint yet; the run starts over")
        folder.start_over(describe_machine())
    else:
        folder.take_records(found[1]["records"])
    saved, meta = folder.config(), folder.meta()
    _refuse(check(saved))
    overrides, confirmed = split_confirmations(overrides, foreign_targets(saved))
    refuse_foreign(saved, trusted={*trusted, *confirmed}, where=f"resume={path}")
    before = with_resumes(without_idle_training(saved), meta)
    config = apply(before, overrides)
    _refuse(check(config))
    if config["train"]["epochs"] < before["train"]["epochs"]:
        raise RunnerError(
            f"train.epochs={config['train']['epochs']}: a resumed run may only grow; it has "
            f"{before['train']['epochs']} of them"
        )
    phase = TrainingState(**found[1]["state"]).phase if found is not None else 0
    if phase and config["train"]["epochs"] > before["train"]["epochs"]:
        raise RunnerError(
            f"train.epochs={config['train']['epochs']}: {phase} phases of this run have ended with "
            f"at most {before['train']['epochs']} epochs each, and what follows begins from them; "
            "leave it out, or start a new run"
        )
    if before["train"]["epochs"] == 0 < config["train"]["epochs"]:
        raise RunnerError(
            f"train.epochs={config['train']['epochs']}: this run evaluates its model without "
            "training (train.epochs=0); start a new run to train"
        )
    entry = {"time": now(), "overrides": with_absolute_places(overrides)}
    if found is None:
        folder.repair()
        with folder.recording_status():
            return run_experiment(config, folder, resume=entry, judge=judge)
    if config["train"] == before["train"]:
        summary = _summary_if_finished(folder, found[1], config["train"])
        if summary is not None:
            return summary
    if config["train"]["epochs"] == 0:
        folder.forget_metrics()  # the whole evaluation is repeated
    return run_experiment(config, folder, checkpoint=found[1], resume=entry, judge=judge)


def _refuse(problems: list[str]) -> None:
    if problems:
        raise RunnerError("\n  ".join(["the config has errors:", *problems]))


def split_confirmations(
    overrides: Sequence[str], foreign: Mapping[str, str]
) -> tuple[list[str], set[str]]:
    """The overrides that change the saved config, and the values of those that repeat it."""
    kept, confirmed = [], set()
    for line in overrides:
        key, value = parse(line)
        if foreign.get(key) == value:
            confirmed.add(value)
        else:
            kept.append(line)
    return kept, confirmed


def _summary_if_finished(
    folder: RunFolder, content: Mapping[str, Any], train: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The summary of a finished run with intact weights; its damaged records are repaired.

    One that a signal stopped after its summary has its reports still to write. One that was killed
    there is finished without them, or each resume would be killed again.
    """
    if folder.is_interrupted():
        return None
    try:
        summary = read_summary(folder.path)
    except RunnerError:
        return None  # the resume writes it again
    epochs, reached = train["epochs"], content["state"]["epoch"]
    gave_up = out_of_patience(TrainingState(**content["state"]), train["patience"])
    if not gave_up and (summary["epochs"] < epochs or 0 < epochs >= reached):
        return None
    set_damaged_aside(folder.checkpoints)
    if not (folder.checkpoints / "best.pt").exists():
        return None
    folder.repair()
    return _report_finished(folder, summary)


def _summary_without_checkpoints(
    folder: RunFolder, overrides: Sequence[str]
) -> dict[str, Any] | None:
    """The summary of a run that was finished before its checkpoints were removed."""
    if not (folder.path / "summary.json").exists():
        return None
    summary = read_summary(folder.path)
    if overrides:
        raise RunnerError(
            f"resume={folder.path}: this run is finished, and its checkpoints are gone; start a "
            "new run to go further"
        )
    return _report_finished(folder, summary)


def _report_finished(folder: RunFolder, summary: Mapping[str, Any]) -> dict[str, Any]:
    log.info("this run is finished; a larger train.epochs=… extends it")
    folder.status("done")
    return {**summary, "folder": str(folder.path), "upload": None}
