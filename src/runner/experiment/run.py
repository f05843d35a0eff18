"""One run from its resolved config: data, graph, model, training, records."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from runner.audits.selection import selection_of
from runner.config.identity import experiment_id, kind_of_start
from runner.config.schema import RunConfig
from runner.errors import EXIT_INTERRUPTED, RunnerError
from runner.experiment import warm_start
from runner.experiment.audited import audit
from runner.experiment.build import without_idle_training
from runner.experiment.closing_media.collect import closing_media
from runner.experiment.kept_embeddings import keep_embeddings
from runner.experiment.kept_scores import keep_scores
from runner.experiment.node_report import node_report
from runner.experiment.parts import Parts, assemble
from runner.experiment.processes import together
from runner.experiment.resume_overrides import apply, lengths
from runner.experiment.tracked import Tracked, open_tracker
from runner.machine import hardware, startup
from runner.machine.profiler import profiled
from runner.machine.signals import StopOnSignals
from runner.records import shared_model
from runner.records.best_weights import best_weights
from runner.records.checkpoint import check_data, set_damaged_aside, write
from runner.records.folder import RunFolder
from runner.records.recorder import Judge, RunRecorder, Watched
from runner.records.summary import published_warm_start, read_summary, summary_of
from runner.terminal.progress import Progress
from runner.training.loop import fit
from runner.training.ranks import Ranks
from runner.training.state import TrainingState

log = logging.getLogger(__name__)


def run_experiment(
    config: Mapping[str, Any],
    folder: RunFolder,
    *,
    checkpoint: Mapping[str, Any] | None = None,
    resume: Mapping[str, Any] | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Train, evaluate and record one run; return the content of its summary.json.

    The caller records the status of a new run. A resumed run records its status itself, once its
    checkpoint is loaded.

    Args:
        config: resolved and checked.
        folder: a claimed folder, or a reopened one for a resume.
        checkpoint: content of the checkpoint to resume from, None for a start.
        resume: the entry of a resume for meta.json, None for a new run.
        judge: takes the validation metric after each epoch, and may raise `Pruned`.

    Raises:
        RunnerError: an error of the user's; status.json and run.log record it too.
        Interrupted: after a signal; `runner resume=` resumes the run.
    """
    config = without_idle_training(config)
    shared = {"folder": str(folder.path.absolute()), "checkpoint": checkpoint}
    with ExitStack() as during:
        during.callback(startup.thaw)
        ranks = during.enter_context(together(config, **shared))
        parts, state = _prepare(RunConfig.read(config), folder, checkpoint, ranks)
        if checkpoint is not None:
            during.enter_context(folder.recording_status())
        _record_start(config, folder, parts, state, resume, ranks)
        settings, training = parts.config, parts.training
        stop = during.enter_context(
            StopOnSignals(
                grace_seconds=settings.train.grace_seconds, give_up=partial(_give_up, folder)
            )
        )
        tracked = during.enter_context(
            open_tracker(
                config,
                folder,
                parts,
                resumed=resume is not None,
                summarise=lambda: _make_summary(folder, parts, state) if state.best else {},
            )
        )
        with _open_recorder(folder, parts, state, tracked, stop, judge) as recorder:
            startup.end()
            fit(training, state, recorder, ranks)
            recorder.close()
        tracked.result = _make_summary(folder, parts, state)
        selection = training.evaluator.selection
        tracked.result["selection"] = selection_of(folder.metrics, selection)
        folder.write_json("summary.json", tracked.result)  # what follows may be killed for memory
        if settings.run.audits and (
            training.evaluator.names or not training.objective.scores_pairs
        ):
            tracked.result["audits"] = _audits(folder, parts, state, stop)
            folder.write_json("summary.json", tracked.result)
        if settings.run.node_report:
            node_report(parts, folder, state, lambda: stop.requested)
        if settings.run.keep_scores:
            audits = tracked.result.get("audits", {})
            keep_scores(parts, folder, state, audits, lambda: stop.requested)
        if settings.run.keep_embeddings:
            keep_embeddings(parts, folder, state)
        wanted = tracked.tracker.wants_media
        media = closing_media(parts, folder, selection, lambda: stop.requested, wanted)
        if wanted:
            tracked.tracker.show_media(media)
        if tracked.tracker.wants_model:
            tracked.tracker.keep_model(partial(shared_model.write, folder, config))
    return {
        **read_summary(folder.path),
        "folder": str(folder.path),
        "upload": tracked.tracker.upload_command,
        "url": tracked.tracker.url,
    }


def _prepare(
    config: RunConfig, folder: RunFolder, checkpoint: Mapping[str, Any] | None, ranks: Ranks
) -> tuple[Parts, TrainingState]:
    """Build the parts of the run, in their initial state or in that of the checkpoint.

    Until the checkpoint is loaded, nothing in the folder changes: a failed resume leaves no
    trace.
    """
    if checkpoint is None:
        warm_start.take(config, folder)
        parts = assemble(config, folder.path, ranks)
        warm_start.begin_encoder(parts.training.model, config, folder.path, parts.data)
        warm_start.initialise(parts.training.model, config, folder.path, parts.data)
        return parts, TrainingState()
    if folder.meta().get("init_from") and not (folder.path / "init").is_dir():
        raise RunnerError(
            f"resume={folder.path}: init/, what the run began from, is missing; restore it"
        )
    parts = assemble(config, folder.path, ranks)
    check_data(checkpoint, folder.checkpoints / "last.pt", parts.data.fingerprint)
    state = parts.restore(checkpoint)
    folder.repair()
    return parts, state


def _record_start(
    config: Mapping[str, Any],
    folder: RunFolder,
    parts: Parts,
    state: TrainingState,
    resume: Mapping[str, Any] | None,
    ranks: Ranks,
) -> None:
    """Record the parts of a new run, or the resume of an earlier one, in the folder."""
    begins = not state.draws and state.best is None
    if not begins:
        _repair_best(folder, parts, state)
    meta = folder.meta()
    where = {"device": parts.device_name, "processes": ranks.size}
    meta["resumes"] = [*meta["resumes"], *([{**resume, **where}] if resume else [])]
    if begins:
        meta = {**meta, "init_from": meta.get("init_from"), "processes": ranks.size}
        meta.update(parts.facts())
        if parts.data.names is not None:
            folder.write_names(parts.data.names)
    folder.write_meta({**meta, **_identity(_original_config(folder, meta), meta.get("init_from"))})
    if not begins and resume and resume["overrides"]:
        # So that the overrides survive a lost meta.json.
        content = {**parts.snapshot(state), "records": folder.records()}
        write(folder.checkpoints / "last.pt", content)
    if not begins:
        steps = len(parts.training.sampler)
        log.info("resumed at epoch %d, step %d of %d", state.epoch, state.step, steps)
    _log_unusual_settings(parts)


def _repair_best(folder: RunFolder, parts: Parts, state: TrainingState) -> None:
    """Set damaged checkpoints aside; rewrite best.pt if the run stands at its best epoch."""
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


def _make_summary(folder: RunFolder, parts: Parts, state: TrainingState) -> dict[str, Any]:
    peak = hardware.peak_memory_gib(parts.device)
    evaluator, share = parts.training.evaluator, parts.training.objective.validation_share
    facts = {
        **evaluator.facts,
        **({} if share is None else {"learned_from_validation": share}),
        **parts.training.objective.facts(parts.training.task.train_graph),
    }
    return summary_of(parts.config, folder.meta(), evaluator.selection, state, peak, facts)


def _audits(
    folder: RunFolder, parts: Parts, state: TrainingState, stop: StopOnSignals
) -> dict[str, Any]:
    """The audits of the scores, with the weights of the best epoch."""
    assert state.best is not None
    with best_weights(parts.training.model, folder, "the audits are"):
        return audit(
            parts,
            folder.path,
            epoch=state.best["epoch"],
            seconds=state.seconds,
            stop_requested=lambda: stop.requested,
        )


@contextmanager
def _open_recorder(
    folder: RunFolder,
    parts: Parts,
    state: TrainingState,
    tracked: Tracked,
    stop: StopOnSignals,
    judge: Judge | None,
) -> Iterator[RunRecorder]:
    """The recorder of the loop, with its progress display and, if requested, a profile."""
    train, selection = parts.config.train, parts.training.evaluator.selection
    peak = partial(hardware.peak_memory_gib, parts.device)
    with ExitStack() as during:
        progress = during.enter_context(
            Progress(
                epochs=parts.epochs, start_epoch=state.epoch - 1, metric_name=selection or "metric"
            )
        )
        if parts.config.hardware.profile:
            during.enter_context(profiled(folder.path, parts.device, peak, tracked.profile))
        yield RunRecorder(
            (folder, tracked.tracker, progress),
            Watched(parts.snapshot, lambda: stop.requested, peak, selection, judge),
            train,
            saved=(state.epoch, state.step) if state.draws else None,
        )


def _give_up(folder: RunFolder) -> None:
    """End this process now: its time is up, and the files on the disk are consistent."""
    try:
        folder.status("interrupted")
        log.warning("time is up; a resume repeats the steps since the last checkpoint")
        print(f"stopped; go on with: runner resume={folder.path}", flush=True)
    finally:
        os._exit(EXIT_INTERRUPTED)


def _log_unusual_settings(parts: Parts) -> None:
    config, training = parts.config, parts.training
    asked = config.sampler.get("batch_size"), config.protocol.metrics
    if config.train.epochs > 0 and None in asked and training.evaluator.names:
        sampler, metrics = training.sampler, ", ".join(training.evaluator.names)
        batches = f"train.batch_size={sampler.batch_size} ({len(sampler)} steps an epoch), "
        log.info(
            "by the size of the graph: %smetrics %s, selected on %s",
            batches if sampler.draws else "",
            metrics,
            training.evaluator.selection,
        )
    if published_warm_start(config) and config.train.init_from is None:
        log.warning(
            "the published %s on %s starts from a trained %s: "
            "train.init_from=<its run folder>; this run trains from scratch",
            config.run.model,
            config.run.dataset,
            config.protocol.warm_start_model,
        )


def _original_config(folder: RunFolder, meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config at the start of the run, with the length set by its resumes.

    A resume that moves a file (the user's own graph, say) does not change the identity.
    """
    config = without_idle_training(folder.config())
    for entry in meta["resumes"]:
        config = apply(config, lengths(entry["overrides"]))
    return config


def _identity(config: Mapping[str, Any], start: Mapping[str, Any] | None) -> dict[str, Any]:
    """The facts that decide which runs are repeats of each other."""
    return {
        "experiment": experiment_id(config, warm_start=kind_of_start(start)),
        "seeds": config["seeds"],
    }
