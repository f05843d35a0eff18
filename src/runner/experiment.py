"""One run from its resolved config: data, graph, model, training, records."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ops.csr import Graph
from ops.sparse_rows import SparseRows
from runner import checkpoint, hardware
from runner.build import build, build_model, build_optimizer, build_with, experiment_id, load_data
from runner.data.audit import audit, enforce
from runner.data.link_data import EvaluationSplit, LinkData
from runner.errors import RunnerError
from runner.machine import describe_machine
from runner.progress import Progress
from runner.records import RunRecorder
from runner.run_folder import RunFolder
from runner.seeding import Generators
from runner.state import TrainingState
from runner.statistics import remember
from runner.tracking import SafeTracker, Tracker
from runner.train import Interrupted, Task, fit

log = logging.getLogger(__name__)

_SPARSE = 0.05  # share of entries that are not zero up to which sparse products are faster


def run_experiment(
    config: Mapping[str, Any],
    folder: RunFolder,
    *,
    overrides: Sequence[str] = (),
    origins: Mapping[str, str] | None = None,
    resumed: bool = False,
) -> dict[str, Any]:
    """Train, evaluate and record one run; the contents of its summary.json.

    Args:
        config: resolved and checked.
        folder: a claimed folder, or a reopened one if `resumed`.
        overrides: the command line's, for the record.
        origins: where each tuned value came from, for the record.

    Raises:
        RunnerError: what the user can mend; status.json and run.log say it too.
        Interrupted: after a signal; `runner resume=` goes on.
    """
    with folder.logging():
        folder.status("running")
        try:
            summary = _run(config, folder, overrides, origins, resumed)
        except Interrupted:
            folder.status("interrupted")
            raise
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            folder.status("interrupted" if interrupted else "failed", _reason(error))
            raise
        folder.status("done")
    return summary


def _run(
    config: Mapping[str, Any],
    folder: RunFolder,
    overrides: Sequence[str],
    origins: Mapping[str, str] | None,
    resumed: bool,
) -> dict[str, Any]:
    if not resumed:
        folder.start(config, overrides, {**describe_machine(), "hyperparameters": origins})
    train = config["train"]
    protocol = config["dataset"]["protocol"]
    device = hardware.set_up(**config["hardware"])
    hardware.reset_peak_memory(device)

    data = load_data(config)
    remember(config, data)
    for note in data.notes:
        log.info("%s: %s", config["run"]["dataset"], note)
    checked = audit(data, cache=Path(config["run"]["cache"]))
    for warning in enforce(
        checked, official=protocol["official_split"], permitted=protocol["permitted_overlaps"]
    ):
        log.warning("%s", warning)

    evaluator = build("evaluator", config["evaluator"])
    evaluator.prepare({"valid": data.valid, "test": data.test})
    task = _task(data, protocol["validation_edges_in_test_graph"], device)
    model = build_model(
        config, num_features=data.features.shape[-1], num_categories=data.num_categories
    ).to(device)
    if train["epochs"] > 0 and not any(p.requires_grad for p in model.parameters()):
        raise RunnerError(
            f"train.epochs={train['epochs']}: model={config['run']['model']} has nothing to train; "
            "give train.epochs=0"
        )
    generators = Generators(
        **{name: config["seeds"][name] for name in ("batches", "negatives", "dropout")}
    )
    sampler = build_with(
        "sampler",
        config["sampler"],
        graph=task.train_graph,
        targets=data.train.to(device),
        negatives=build("dataset.negatives", config["dataset"]["negatives"]),
        generators=generators,
    )
    if train["epochs"] > 0 and None in (config["sampler"]["batch_size"], protocol["metrics"]):
        names = ", ".join(metric.name for metric in evaluator.metrics)
        log.info(
            "by the size of the graph: train.batch_size=%d (%d steps an epoch), metrics %s",
            sampler.batch_size,
            len(sampler),
            f"{names}, selected on {evaluator.selection}",
        )
    if train["lr_encoder"] == 0 and not resumed:
        log.warning(
            "train.lr_encoder=0 keeps the encoder at its random initialisation; "
            "give train.lr_encoder=… to train it"
        )
    optimizer = build_optimizer(
        model, lr_encoder=train["lr_encoder"], lr_predictor=train["lr_predictor"]
    )

    state = TrainingState()
    meta = folder.meta()
    if resumed:
        content = checkpoint.load(folder.checkpoints / "last.pt", data.fingerprint)
        state = checkpoint.restore(content, model=model, optimizer=optimizer, generators=generators)
        folder.drop_metrics_after(state.epoch - 1)
        log.info("resumed at epoch %d, step %d of %d", state.epoch, state.step, len(sampler))
    else:
        meta["data"] = {"fingerprint": data.fingerprint, "audit": checked.counts}
        meta["test_graph"] = (
            "training and validation edges"
            if protocol["validation_edges_in_test_graph"]
            else "training edges"
        )
        meta["sizes"] = _sizes(data, task, model)
        folder.write_meta(meta)

    tracker: Tracker = SafeTracker(build("tracker", config["tracker"]))
    tracker.start(
        folder=folder.path,
        run_id=meta["run_id"],
        name=f"{config['run']['model']}-{config['run']['dataset']}-seed{config['seed']}",
        group=experiment_id(config),
        job_type="train",
        tags=_tags(config),
        config=config,
        resumed=resumed,
    )
    save = partial(_save, model=model, optimizer=optimizer, generators=generators, data=data)
    peak = partial(hardware.peak_memory_gib, device)
    exit_code = 1
    summary: dict[str, Any] = {}
    try:
        with Progress(
            epochs=train["epochs"], start_epoch=state.epoch - 1, metric_name=evaluator.selection
        ) as progress:
            recorder = RunRecorder(
                folder=folder,
                tracker=tracker,
                progress=progress,
                save=save,
                peak_memory_gib=peak,
                selection=evaluator.selection,
                checkpoint_minutes=train["checkpoint_minutes"],
            )
            with recorder.stop_on_signals():
                fit(
                    model=model,
                    task=task,
                    sampler=sampler,
                    generators=generators,
                    evaluator=evaluator,
                    optimizer=optimizer,
                    epochs=train["epochs"],
                    clip_norm=train["clip_norm"],
                    state=state,
                    recorder=recorder,
                )
        summary = _summary(config, meta, evaluator.selection, state, peak())
        folder.write_json("summary.json", summary)
        exit_code = 0
    finally:
        tracker.finish(summary, exit_code=exit_code)
    return {
        **summary,
        "folder": str(folder.path),
        "upload": tracker.upload_command,
        "url": tracker.url,
    }


def _task(data: LinkData, validation_edges_in_test_graph: bool, device: torch.device) -> Task:
    train_graph = Graph.from_edges(data.train, data.num_nodes)
    test_graph = train_graph
    if validation_edges_in_test_graph:
        edges = torch.cat([data.train, data.valid.positive], dim=1)
        test_graph = Graph.from_edges(edges, data.num_nodes)

    def on_device(split: EvaluationSplit) -> EvaluationSplit:
        return EvaluationSplit(split.positive.to(device), split.negative.to(device))

    return Task(
        features=_compact(data.features).to(device),
        train_graph=train_graph.to(device),
        test_graph=test_graph.to(device),
        valid=on_device(data.valid),
        test=on_device(data.test),
    )


def _compact(features: Tensor) -> Tensor | SparseRows:
    """Bags of words as the sparse matrix they are; see `scripts/measure_sparse_input.py`."""
    if not features.is_floating_point() or features.count_nonzero() > _SPARSE * features.numel():
        return features
    return SparseRows.from_dense(features)


def _save(path: Path, state: TrainingState, *, data: LinkData, **parts: Any) -> None:
    checkpoint.save(path, state=state, fingerprint=data.fingerprint, **parts)


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
        "published": _published(config),
        "test_graph": meta["test_graph"],
        "seconds": round(state.seconds, 3),
        "peak_memory_gib": round(peak, 3),
    }


def _published(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The figure for this very model; there is none for an ablation of target-link removal."""
    dataset = config["dataset"]
    if config["sampler"]["_target_"] != dataset["tuned"].get("sampler"):
        return None
    return dataset["published"].get(config["run"]["model"])


def _sizes(data: LinkData, task: Task, model: torch.nn.Module) -> dict[str, int]:
    return {
        "nodes": data.num_nodes,
        "training_links": data.train.shape[1],
        "undirected_edges": task.train_graph.num_entries // 2,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def _tags(config: Mapping[str, Any]) -> list[str]:
    sampler = str(config["sampler"]["_target_"]).rsplit(".", 1)[-1]
    convolution = str(config["encoder"].get("convolution", {}).get("path", "")).rsplit(".", 1)[-1]
    tags = [config["run"]["model"], config["run"]["dataset"], convolution, sampler]
    return [tag for tag in tags if tag]


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def read_summary(path: Path) -> dict[str, Any]:
    """summary.json of a finished run.

    Raises:
        RunnerError: if it cannot be read.
    """
    try:
        return json.loads((path / "summary.json").read_text())
    except (OSError, ValueError) as error:
        raise RunnerError(f"{path}/summary.json cannot be read ({error})") from None
