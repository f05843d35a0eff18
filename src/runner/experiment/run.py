"""One run from its resolved config: data, graph, model, training, records."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from runner.config.identity import experiment_id
from runner.errors import EXIT_INTERRUPTED, Pruned, RunnerError
from runner.experiment import warm_start
from runner.experiment.build import build, without_idle_training
from runner.experiment.closing_media.collect import closing_media
from runner.experiment.parts import Parts, assemble
from runner.experiment.processes import together
from runner.experiment.resume_overrides import apply, lengths
from runner.machine import hardware
from runner.machine.profiler import profiled
from runner.machine.signals import StopOnSignals
from runner.records.checkpoint import check_data, set_damaged_aside, write
from runner.records.folder import RunFolder
from runner.records.recorder import Judge, RunRecorder
from runner.records.summary import published_warm_start, read_summary, summary_of, with_selected
from runner.terminal.progress import Progress
from runner.tracking.background import SafeTracker
from runner.tracking.tracker import Tracker
from runner.training.ranks import Ranks
from runner.training.state import TrainingState

log = logging.getLogger(__name__)

_LONGEST_TAG = 64  # that W&B takes


def run_experiment(
    config: Mapping[str, Any],
    folder: RunFolder,
    *,
    checkpoint: Mapping[str, Any] | None = None,
    resume: Mapping[str, Any] | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Train, evaluate and record one run; the contents of its summary.json.

    The caller records the status of a run that begins; one that goes on does so from where it can.

    Args:
        config: resolved and checked.
        folder: a claimed folder, or a reopened one for a resume.
        checkpoint: content of the checkpoint to go on from, None to begin.
        resume: the entry for meta.json of a resume, None for a new run.
        judge: is told epoch and validation metric after each epoch, and may raise `Pruned`.

    Raises:
        RunnerError: what the user can mend; status.json and run.log say it too.
        Interrupted: after a signal; `runner resume=` goes on.
    """
    config = without_idle_training(config)
    with together(config, folder=str(folder.path.absolute()), checkpoint=checkpoint) as ranks:
        return _run(config, folder, checkpoint, resume, judge, ranks)


def _run(
    config: Mapping[str, Any],
    folder: RunFolder,
    checkpoint: Mapping[str, Any] | None,
    resume: Mapping[str, Any] | None,
    judge: Judge | None,
    ranks: Ranks,
) -> dict[str, Any]:
    if checkpoint is None:
        start = warm_start.take(config, folder)
        parts = assemble(config, folder.path, ranks)
        warm_start.initialise(parts.model, config, folder.path, parts.data)
        meta = folder.meta()
        resumes = [*meta["resumes"], *_resume_entry(resume, parts, ranks)]
        meta = {**meta, "init_from": start, "resumes": resumes, "processes": ranks.size}
        folder.write_meta({**meta, **parts.facts(), **_identity(config, start)})
        return _train(config, folder, parts, TrainingState(), judge, ranks, resumed=bool(resume))
    # Until the checkpoint is in place, nothing in the folder changes: a resume that cannot be is
    # as if it had never been tried.
    if folder.meta().get("init_from") and not (folder.path / "init").is_dir():
        raise RunnerError(
            f"resume={folder.path}: init/, what the run began from, is missing; restore it"
        )
    parts = assemble(config, folder.path, ranks)
    check_data(checkpoint, folder.checkpoints / "last.pt", parts.data.fingerprint)
    state = parts.restore(checkpoint)
    folder.repair()
    with folder.recording_status():
        _repair_best(folder, parts, state)
        meta = folder.meta()
        meta = {**meta, "resumes": [*meta["resumes"], *_resume_entry(resume, parts, ranks)]}
        folder.write_meta({**meta, **_identity(_as_begun(folder, meta), meta.get("init_from"))})
        if resume and resume["overrides"]:
            # So that they outlive meta.json.
            content = {**parts.snapshot(state), "records": folder.records()}
            write(folder.checkpoints / "last.pt", content)
        log.info("resumed at epoch %d, step %d of %d", state.epoch, state.step, len(parts.sampler))
        return _train(config, folder, parts, state, judge, ranks, resumed=True)


def _resume_entry(
    resume: Mapping[str, Any] | None, parts: Parts, ranks: Ranks
) -> list[dict[str, Any]]:
    where = {"device": parts.device_name, "processes": ranks.size}
    return [{**resume, **where}] if resume else []


def _repair_best(folder: RunFolder, parts: Parts, state: TrainingState) -> None:
    """Set damaged checkpoints aside, and write best.pt again where its weights are at hand."""
    set_damaged_aside(folder.checkpoints)
    best = folder.checkpoints / "best.pt"
    if best.exists() or state.best is None:
        return
    if (state.best["epoch"], 0) == (state.epoch - 1, state.step):
        write(best, {**parts.snapshot(state), "records": folder.records()})
        return
    log.warning(
        "%s is missing: the scores of epoch %d are kept, its weights are lost until a better epoch "
        "comes; a new run with the same overrides has them",
        best,
        state.best["epoch"],
    )


def _train(
    config: Mapping[str, Any],
    folder: RunFolder,
    parts: Parts,
    state: TrainingState,
    judge: Judge | None,
    ranks: Ranks,
    *,
    resumed: bool,
) -> dict[str, Any]:
    meta = folder.meta()
    _say_what_is_unusual(config, parts)

    def summary() -> dict[str, Any]:
        peak = hardware.peak_memory_gib(parts.device)
        return summary_of(config, meta, parts.evaluator.selection, state, peak)

    with StopOnSignals(
        grace_seconds=config["train"]["grace_seconds"], give_up=partial(_give_up, folder)
    ) as stop:
        tracker = SafeTracker(build("tracker", config["tracker"]))
        tracker.start(
            folder=folder.path,
            run_id=meta["run_id"],
            name=f"{config['run']['model']}-{config['run']['dataset']}-seed{config['seed']}",
            group=meta["experiment"],
            job_type="train",
            tags=_tags(config, meta),
            config={**config, "sweep": meta.get("sweep") or {}},
            resumed=resumed,
        )
        exit_code = 1
        profile: dict[str, Any] = {}
        result: dict[str, Any] = {}
        try:
            _fit(config, folder, parts, state, tracker, stop, judge, profile, ranks)
            result = summary()
            folder.write_json("summary.json", result)
            if tracker.wants_media:
                selection = parts.evaluator.selection
                media = closing_media(parts, folder, selection, lambda: stop.requested)
                tracker.show_media(media)
            exit_code = 0
        except Pruned:
            exit_code = 0  # it has told what was asked of it
            raise
        finally:
            # A run that stops early has a best epoch too, which W&B would not know of by itself.
            if not result and state.best:
                result = summary()
            tracker.finish({**with_selected(result), **profile}, exit_code=exit_code)
    return {
        **read_summary(folder.path),
        "folder": str(folder.path),
        "upload": tracker.upload_command,
        "url": tracker.url,
    }


def _fit(
    config: Mapping[str, Any],
    folder: RunFolder,
    parts: Parts,
    state: TrainingState,
    tracker: Tracker,
    stop: StopOnSignals,
    judge: Judge | None,
    profile: dict[str, Any],
    ranks: Ranks,
) -> None:
    train = config["train"]
    peak = partial(hardware.peak_memory_gib, parts.device)
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
            snapshot=parts.snapshot,
            stop_requested=lambda: stop.requested,
            peak_memory_gib=peak,
            selection=parts.evaluator.selection,
            judge=judge,
            checkpoint_minutes=train["checkpoint_minutes"],
            checkpoint_steps=train["checkpoint_steps"],
            keep_checkpoints=train["keep_checkpoints"],
            saved=(state.epoch, state.step) if state.draws else None,
        )
        if config["hardware"]["profile"]:
            during.enter_context(profiled(folder.path, parts.device, peak, profile))
        parts.fit(state, recorder, ranks)
        recorder.close()


def _give_up(folder: RunFolder) -> None:
    """End this process now: its grace is over, and what is on the disk is consistent."""
    try:
        folder.status("interrupted")
        log.warning("the grace is over; what came after the last checkpoint will be done again")
        print(f"stopped; go on with: runner resume={folder.path}", flush=True)
    finally:
        os._exit(EXIT_INTERRUPTED)


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
    if published_warm_start(config) and config["train"]["init_from"] is None:
        log.warning(
            "the published completion on %s starts from a trained %s: "
            "train.init_from=<its run folder>; this run trains from scratch",
            config["run"]["dataset"],
            dataset["warm_start_model"],
        )


def _as_begun(folder: RunFolder, meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """The run's config as it was begun, as long as its resumes have made it.

    What a resume moves (the user's own file, say) makes no other run of it.
    """
    config = without_idle_training(folder.config())
    for entry in meta["resumes"]:
        config = apply(config, lengths(entry["overrides"]))
    return config


def _identity(config: Mapping[str, Any], start: Mapping[str, Any] | None) -> dict[str, Any]:
    """What tells which runs are repeats of each other."""
    mode = start["mode"] if start else None
    return {"experiment": experiment_id(config, warm_start=mode), "seeds": config["seeds"]}


def _tags(config: Mapping[str, Any], meta: Mapping[str, Any]) -> list[str]:
    sampler = str(config["sampler"]["_target_"]).rsplit(".", 1)[-1]
    convolution = str(config["encoder"].get("convolution", {}).get("path", "")).rsplit(".", 1)[-1]
    sweep = f"sweep:{meta['sweep']['name']}" if meta.get("sweep") else ""
    tags = [config["run"]["model"], config["run"]["dataset"], convolution, sampler, sweep]
    return [tag[:_LONGEST_TAG] for tag in tags if tag]
