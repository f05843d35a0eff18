"""The scores of a run, kept at its end for models of finished runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runner.data.link_data import EvaluationSplit
from runner.errors import Interrupted
from runner.experiment.parts import Parts
from runner.models.link_model import LinkModel
from runner.records.best_weights import best_weights
from runner.records.folder import RunFolder
from runner.storage import kept_scores
from runner.storage.kept_scores import Facts, KeptScores
from runner.training.evaluator import RankingEvaluator
from runner.training.state import TrainingState
from runner.training.task import Inputs

log = logging.getLogger(__name__)


def keep_scores(
    parts: Parts,
    folder: RunFolder,
    state: TrainingState,
    audits: Mapping[str, Any],
    stop_requested: Callable[[], bool],
) -> None:
    """Write scores.npz with the weights of the best epoch; a failure is told and ends no run.

    Args:
        audits: of the run, by name; none where it makes none.

    Raises:
        Interrupted: after a signal; a resume writes the file.
    """

    def stop_if_asked() -> None:
        if stop_requested():
            raise Interrupted

    assert state.best is not None
    training = parts.training
    task, objective = training.task, training.objective
    seen = {
        name: (objective.inputs(state.best["epoch"], inputs), split)
        for name, inputs, split in (
            ("valid", task.valid_inputs, task.valid),
            ("test", task.test_inputs, task.test),
        )
    }
    try:
        with best_weights(training.model, folder, "the scores are") as epoch:
            facts = Facts(
                run_id=folder.meta()["run_id"],
                epoch=state.epoch - 1 if epoch is None else epoch,
                data=parts.data.fingerprint,
                graphs={name: inputs.graph.fingerprint for name, (inputs, _) in seen.items()},
                learned_from_validation=objective.validation_share is not None,
                normalises_pairs=training.model.predictor.normalises_pairs,
                failed_audits=[name for name, audit in audits.items() if audit["passed"] is False],
            )
            size = parts.config.train.eval_batch_size
            _write(folder.path, facts, training.model, seen, size, stop_if_asked)
    except Interrupted:
        raise
    except Exception as error:
        log.warning(
            "%s cannot be written (%s: %s)",
            *(folder.path / kept_scores.FILE, type(error).__name__, error),
        )


def _write(
    folder: Path,
    facts: Facts,
    model: LinkModel,
    seen: Mapping[str, tuple[Inputs, EvaluationSplit]],
    batch_size: int,
    between_batches: Callable[[], None],
) -> None:
    judge = RankingEvaluator(metrics=None, select=None, batch_size=batch_size)
    pairs, scores = {}, {}
    for name, (inputs, split) in seen.items():
        found = judge.scores(model, inputs, split, between_batches)
        given = split.positive, split.negative.reshape(2, -1)
        for side, ends, values in zip(kept_scores.SIDES, given, found, strict=True):
            pairs[name, side] = ends.cpu().numpy()
            scores[name, side] = values.flatten().float().numpy()
    kept_scores.write(folder, KeptScores(facts, pairs, scores))
