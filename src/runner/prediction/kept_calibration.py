"""calibration.json: the calibration of a run, fitted once for its weights and kept beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from torch import Tensor

from runner.data.link_data import EvaluationSplit
from runner.errors import RunnerError
from runner.ops.csr import Graph
from runner.prediction.calibration import Calibration, Method, Scored, fit
from runner.prediction.scorer import Scorer
from runner.prediction.trained import Trained
from runner.records.folder import RunFolder
from runner.storage.seal import Damaged, read_json

log = logging.getLogger(__name__)

NAME = "calibration.json"


def calibration_of(
    trained: Trained, scorer: Callable[[Graph], Scorer], method: Method | None = None
) -> Calibration:
    """The kept calibration, or a new one where the run has found better weights since.

    Args:
        scorer: gives that of a graph.
        method: None for that of the kept one, or "logistic".

    Raises:
        RunnerError: if the run has no validation and was given no calibration, or the scores
            cannot be calibrated.
    """
    folder = trained.folder
    kept = _read(folder)
    if trained.config.train.all_links:
        if kept is None or method not in (None, kept.method):
            raise RunnerError(
                f"{folder.path}: this run has no validation to fit probabilities on, and its "
                f"{NAME} has {'no others' if kept else 'none'}; calibrate the run that it was "
                "refitted from, and refit that again"
            )
        return kept
    if kept is not None and kept.weights == trained.digest and method in (None, kept.method):
        return kept
    log.info("probabilities are calibrated on validation, once for these weights")
    chosen = method or (kept.method if kept else "logistic")
    data, logits = trained.data, trained.model.predictor.trainable
    valid, test = (
        _scored(scorer(graph), part)
        for graph, part in ((trained.graphs[1], data.valid), (trained.graphs[2], data.test))
    )
    fitted = fit(chosen, valid, test, logits=logits, weights=trained.digest)
    keep(folder, fitted)
    return fitted


def keep(folder: RunFolder, calibration: Calibration) -> None:
    """Write it beside the run; a folder that cannot be written is no error."""
    try:
        folder.write_json(NAME, asdict(calibration))
    except OSError as error:
        log.info("the calibration is not kept: %s", error)


def _read(folder: RunFolder) -> Calibration | None:
    try:
        return Calibration(**read_json((folder.path / NAME).read_text()))
    except OSError:
        return None
    except (Damaged, ValueError, TypeError):  # TypeError: of another version
        log.warning("%s cannot be read and is not used", folder.path / NAME)
        return None


def _scored(scorer: Scorer, part: EvaluationSplit) -> Scored:
    def scores(pairs: Tensor) -> Any:
        return scorer.score(pairs.reshape(2, -1))

    return Scored(scores(part.positive), scores(part.negative))
