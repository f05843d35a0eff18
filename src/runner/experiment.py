"""One run from its resolved config: data, graph, model, training, records."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from runner import hardware, warm_start
from runner.build import build, experiment_id, without_idle_training
from runner.errors import RunnerError
from runner.machine import describe_machine
from runner.parts import Parts, assemble
from runner.profile import profiled
from runner.progress import Progress
from runner.records import RunRecorder
from runner.run_folder import RunFolder
from runner.safe_tracker import SafeTracker
from runner.state import TrainingState
from runner.tracking import Tracker
from runner.train import fit

log = logging.getLogger(__name__)


def run_experiment(
    config: Mapping[str, Any],
    folder: RunFolder,
    *,
    overrides: Sequence[str] = (),
    origins: Mapping[str, str] | None = None,
    resume: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train, evaluate and record one run; the contents of its summary.json.

    Args:
        config: resolved and checked.
        folder: a claimed folder, or a reopened one for a resume.
        overrides: the command line's, for the record.
        origins: where each tuned value came from, for the record.
        resume: the entry for meta.json of a resume, None for a new run.

    Raises:
        RunnerError: what the user can mend; status.json and run.log say it too.
        Interrupted: after a signal; `runner resume=` goes on.
    """
    if resume is None:
        config = without_idle_training(config)
        with folder.recording_status():
            folder.start(config, overrides, {**describe_machine(), "hyperparameters": origins})
            start = warm_start.take(config, folder)
            parts = assemble(config, folder.path)
            warm_start.initialise(parts.model, config, folder.path, parts.data)
            meta = {**folder.meta(), "init_from": start, **parts.facts()}
            folder.write_meta({**meta, **_identity(config, start)})
            return _train(config, folder, parts, TrainingState(), resumed=False)
    # Until the checkpoint is in place, nothing in the folder changes: a resume that cannot be is
    # as if it had never been tried.
    if folder.meta().get("init_from") and not (folder.path / "init").is_dir():
        raise RunnerError(
            f"resume={folder.path}: init/, what the run began from, is missing; restore it"
        )
    parts = assemble(config, folder.path)
    state = parts.restore(folder.checkpoints / "last.pt")
    with folder.recording_status():
        meta = folder.meta()
        meta = {**meta, "resumes": [*meta.get("resumes", []), resume]}
        folder.write_meta({**meta, **_identity(config, meta.get("init_from"))})
        folder.drop_metrics_after(state.epoch - 1 if config["train"]["epochs"] else -1)
        log.info("resumed at epoch %d, step %d of %d", state.epoch, state.step, len(parts.sampler))
        return _train(config, folder, parts, state, resumed=True)


def _train(
    config: Mapping[str, Any],
    folder: RunFolder,
    parts: Parts,
    state: TrainingState,
    *,
    resumed: bool,
) -> dict[str, Any]:
    train, meta = config["train"], folder.meta()
    _say_what_is_unusual(config, parts)
    tracker: Tracker = SafeTracker(build("tracker", config["tracker"]))
    tracker.start(
        folder=folder.path,
        run_id=meta["run_id"],
        name=f"{config['run']['model']}-{config['run']['dataset']}-seed{config['seed']}",
        group=meta["experiment"],
        job_type="train",
        tags=_tags(config),
        config=config,
        resumed=resumed,
    )
    peak = partial(hardware.peak_memory_gib, parts.device)
    exit_code = 1
    profile: dict[str, Any] = {}
    try:
        with (
            ExitStack() as during,
            Progress(
                epochs=train["epochs"],
                start_epoch=state.epoch - 1,
                metric_name=parts.evaluator.selection,
            ) as progress,
        ):
            recorder = RunRecorder(
                folder=folder,
                tracker=tracker,
                progress=progress,
                save=parts.save,
                peak_memory_gib=peak,
                selection=parts.evaluator.selection,
                checkpoint_minutes=train["checkpoint_minutes"],
            )
            during.enter_context(recorder.stop_on_signals())
            if config["hardware"].get("profile"):
                during.enter_context(profiled(folder.path, parts.device, peak, profile))
            fit(
                model=parts.model,
                task=parts.task,
                sampler=parts.sampler,
                generators=parts.generators,
                evaluator=parts.evaluator,
                optimizer=parts.optimizer,
                epochs=train["epochs"],
                clip_norm=train["clip_norm"],
                state=state,
                recorder=recorder,
            )
        folder.write_json(
            "summary.json", _summary(config, meta, parts.evaluator.selection, state, peak())
        )
        exit_code = 0
    finally:
        # A run that stops early has a best epoch too, which W&B would not know of by itself.
        so_far = state.best and _summary(config, meta, parts.evaluator.selection, state, peak())
        tracker.finish({**(so_far or {}), **profile}, exit_code=exit_code)
    return {
        **read_summary(folder.path),
        "folder": str(folder.path),
        "upload": tracker.upload_command,
        "url": tracker.url,
    }


def _say_what_is_unusual(config: Mapping[str, Any], parts: Parts) -> None:
    train, dataset = config["train"], config["dataset"]
    metrics = dataset["protocol"]["metrics"]
    if train["epochs"] > 0 and None in (config["sampler"]["batch_size"], metrics):
        log.info(
            "by the size of the graph: train.batch_size=%d (%d steps an epoch), metrics %s, "
            "selected on %s",
            parts.sampler.batch_size,
            len(parts.sampler),
            ", ".join(parts.evaluator.names),
            parts.evaluator.selection,
        )
    if _warm_start_mode(config) and config["train"]["init_from"] is None:
        log.warning(
            "the published completion on %s starts from a trained %s: "
            "train.init_from=<its run folder>; this run trains from scratch",
            config["run"]["dataset"],
            dataset["warm_start_model"],
        )


def _warm_start_mode(config: Mapping[str, Any]) -> str | None:
    """The `init_mode` with which the published run of such a model starts, None without."""
    if "completion" not in config["model"]:
        return None
    return config["dataset"]["tuned_for_warm_start"].get("train", {}).get("init_mode")


def _identity(config: Mapping[str, Any], start: Mapping[str, Any] | None) -> dict[str, Any]:
    """What tells which runs are repeats of each other."""
    mode = start["mode"] if start else None
    return {"experiment": experiment_id(config, warm_start=mode), "seeds": config["seeds"]}


def _summary(
    config: Mapping[str, Any],
    meta: Mapping[str, Any],
    selection: str,
    state: TrainingState,
    peak: float,
) -> dict[str, Any]:
    assert state.best is not None
    return {
        "model": config["run"]["model"],
        "dataset": config["run"]["dataset"],
        "seed": config["seed"],
        "epochs": state.epoch - 1,
        "best_epoch": state.best["epoch"],
        "select": selection,
        "valid": state.best["valid"],
        "test": state.best["test"],
        "published": _published(config, meta),
        "test_graph": meta["test_graph"],
        "seconds": round(state.seconds, 3),
        "peak_memory_gib": round(peak, 3),
    }


def _published(config: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """The figure for this very model, trained as it was: with its sampler and warm start."""
    dataset = config["dataset"]
    trained = config["train"]["epochs"] > 0
    if trained and config["sampler"]["_target_"] != dataset["tuned"].get("sampler"):
        return None
    start = meta.get("init_from")
    if (start and start["mode"]) != _warm_start_mode(config):
        return None
    if config["model"].get("depth", 1) != 1:
        return None
    return dataset["published"].get(config["run"]["model"])


def _tags(config: Mapping[str, Any]) -> list[str]:
    sampler = str(config["sampler"]["_target_"]).rsplit(".", 1)[-1]
    convolution = str(config["encoder"].get("convolution", {}).get("path", "")).rsplit(".", 1)[-1]
    tags = [config["run"]["model"], config["run"]["dataset"], convolution, sampler]
    return [tag for tag in tags if tag]


def read_summary(path: Path) -> dict[str, Any]:
    """summary.json of a finished run.

    Raises:
        RunnerError: if it cannot be read.
    """
    try:
        return json.loads((path / "summary.json").read_text())
    except (OSError, ValueError) as error:
        raise RunnerError(f"{path}/summary.json cannot be read ({error})") from None
