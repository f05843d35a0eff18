"""`runner refit=<run folder>`: a new run of that run's config on all links, for use.

It trains from a fresh start, for as many epochs as the best one of that run had; there is no
validation then. Its probabilities are that run's.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.config import resolvers
from runner.config.schema import RunConfig
from runner.config.shipped import compose_shipped
from runner.config.targets import foreign_targets, refuse_foreign
from runner.config.validate import absolute, check
from runner.errors import RunnerError
from runner.experiment.build import build
from runner.experiment.resume import split_confirmations
from runner.experiment.resume_overrides import apply, with_resumes
from runner.experiment.run import run_experiment
from runner.machine.provenance import describe_machine
from runner.models.predictor import NoPredictor, Predictor
from runner.prediction.calibration import Calibration
from runner.prediction.kept_calibration import keep
from runner.prediction.run import Run
from runner.prediction.trained import open_trained
from runner.records import checkpoint
from runner.records.folder import RunFolder
from runner.records.summary import read_summary
from runner.storage.seal import Damaged, read_json
from runner.storage.workshop import sync
from runner.training.state import TrainingState

log = logging.getLogger(__name__)

_PLACE = "hydra.run.dir="


@dataclass(frozen=True)
class Refit:
    """A run on all links, before it has a folder.

    Attributes:
        source: the run that it is of.
        config: resolved and checked.
        overrides: with which a start anew has this config.
        of: `refit_of` of its meta.json.
    """

    source: RunFolder
    output: Path
    config: Mapping[str, Any]
    overrides: Sequence[str]
    of: Mapping[str, Any]
    calibration: Calibration


def prepare(path: Path, given: Sequence[str]) -> Refit:
    """What the refit of a run is, from its config, with the overrides that a resume may have.

    Raises:
        RunnerError: if there is nothing to refit, the run is unfinished, or its data has changed.
    """
    source = RunFolder.reopen(path, called="refit=")
    where = f"refit={path}"
    saved = with_resumes(source.config(), source.meta())
    places = [line for line in given if line.startswith(_PLACE)]
    changes = [line for line in given if line not in places]
    changes, confirmed = split_confirmations(changes, foreign_targets(saved))
    refuse_foreign(saved, trusted=confirmed, where=where)
    epochs = _refuse_unfit(source, RunConfig.read(saved), where)
    trained = open_trained(path, device=saved["hardware"]["device"], trusted=confirmed)
    own = [f"train.epochs={epochs}", "train.all_links=true", "train.patience=null"]
    saved["train"].update(epochs=epochs, all_links=True, patience=None)
    saved["run"].update(node_report=False, keep_scores=False)  # there are no links to rank
    saved["evaluator"] = OmegaConf.to_container(compose_shipped(["evaluator=none"]).evaluator)
    config = apply(saved, changes)
    problems = check(config)
    if problems:
        raise RunnerError("\n  ".join(["the config has errors:", *problems]))
    if _follows_validation(config["train"]["schedule"]):
        log.warning("train.schedule follows validation, which a refit has not: rates stay the same")
    of = {"folder": str(source.path), "run_id": source.meta()["run_id"], "best_epoch": epochs}
    calibration = replace(Run(trained).calibration, taken_from=of)
    resumed = [line for entry in source.meta()["resumes"] for line in entry["overrides"]]
    return Refit(
        source=source,
        output=Path(absolute(places[-1].removeprefix(_PLACE))) if places else _output(config),
        config=config,
        overrides=[*source.overrides(), *resumed, *own, "evaluator=none", *changes],
        of=of,
        calibration=calibration,
    )


def claim(refit: Refit) -> RunFolder:
    """The folder of the refit, with what it begins from and its calibration.

    Raises:
        RunnerError: if it is not empty, or cannot be written.
    """
    meta = refit.source.meta()
    kept: dict[str, Any] = {
        key: meta[key] for key in ("hyperparameters", "init_from") if key in meta
    }
    folder = RunFolder.claim(
        refit.output,
        config=refit.config,
        overrides=refit.overrides,
        meta={**describe_machine(), **kept, "sweep": None, "refit_of": refit.of},
    )
    if (refit.source.path / "init").is_dir():
        shutil.copytree(refit.source.path / "init", folder.path / "init")
        sync(folder.path / "init")
    keep(folder, refit.calibration)
    return folder


def train(refit: Refit, folder: RunFolder) -> dict[str, Any]:
    """Train it in its claimed folder; its summary."""
    log.info(
        "refit of %s: %d epochs on all links, from a fresh start and without validation; "
        "probabilities are those of that run",
        refit.source.path,
        refit.config["train"]["epochs"],
    )
    return run_experiment(refit.config, folder)


def _refuse_unfit(source: RunFolder, config: RunConfig, where: str) -> int:
    """The number of epochs of the refit.

    Raises:
        RunnerError: if the run is unfinished, or there is nothing to refit.
    """
    try:
        status = read_json((source.path / "status.json").read_text())["status"]
    except (OSError, Damaged):
        status = "unknown"
    if status != "done":
        raise RunnerError(
            f"{where}: this run is unfinished (its status is {status}), and its best epoch may be "
            f"yet to come; first: runner resume={source.path}"
        )
    predictor: Predictor = build("model", config.model)
    if isinstance(predictor, NoPredictor):
        raise RunnerError(
            f"{where}: a pretraining (model=none) learns an encoder for other runs, and scores no "
            "pairs; refit the run that begins from it"
        )
    if not predictor.trainable:
        raise RunnerError(
            f"{where}: {config.run.model} has nothing to train, so no refit; "
            f'runner.load({str(source.path)!r}, graph="all") sees all links'
        )
    if config.train.all_links:
        raise RunnerError(f"{where}: this run was trained on all links already")
    summary = read_summary(source.path)
    if summary["select"] is None:
        raise RunnerError(
            f"{where}: this run has no best epoch by validation (evaluator=none); train it on all "
            "links with train.all_links=true"
        )
    if summary["best_epoch"] == 0:
        raise RunnerError(
            f"{where}: this run has trained no epoch (train.epochs=0); refit the run that it "
            "begins from"
        )
    if not (source.checkpoints / "best.pt").is_file():
        raise RunnerError(
            f"{where}: this run has no weights (checkpoints/best.pt is missing) to take "
            "probabilities from; restore it, or train the run anew"
        )
    if TrainingState(**checkpoint.read(source.checkpoints / "best.pt")["state"]).phase:
        raise RunnerError(
            f"{where}: this run has learned in phases, each with a best epoch of its own, and a "
            "refit has one; train it on all links with train.all_links=true"
        )
    if source.meta().get("init_from") and not (source.path / "init").is_dir():
        raise RunnerError(f"{where}: init/, what the run began from, is missing; restore it")
    return int(summary["best_epoch"])


def _follows_validation(schedule: Mapping[str, Any] | None) -> bool:
    return schedule is not None and str(schedule["_target_"]).endswith(".ReduceLROnPlateau")


def _output(config: Mapping[str, Any]) -> Path:
    """The folder that a run of this config would have without `hydra.run.dir`."""
    resolvers.register()
    shipped = compose_shipped([], hydra=True)
    OmegaConf.set_struct(shipped, False)
    for key in ("model", "dataset"):
        OmegaConf.update(shipped, f"run.{key}", config["run"][key])
    return Path(absolute(shipped.hydra.run.dir))
