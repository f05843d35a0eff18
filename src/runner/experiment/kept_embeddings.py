"""The embeddings of the nodes by a run, kept at its end for comparisons with other runs."""

from __future__ import annotations

import logging

from runner.experiment.parts import Parts
from runner.records.best_weights import best_weights
from runner.records.folder import RunFolder
from runner.storage import kept_embeddings
from runner.storage.kept_embeddings import Facts
from runner.training.state import TrainingState

log = logging.getLogger(__name__)


def keep_embeddings(parts: Parts, folder: RunFolder, state: TrainingState) -> None:
    """Write embeddings.npz with the weights of the best epoch, on the graph of training.

    A failure is told and ends no run.
    """
    assert state.best is not None
    training, data = parts.training, parts.data
    inputs = training.objective.inputs(state.best["epoch"], training.task.train_inputs)
    try:
        with best_weights(training.model, folder, "the embeddings are") as epoch:
            facts = Facts(
                run_id=folder.meta()["run_id"],
                epoch=state.epoch - 1 if epoch is None else epoch,
                graph=data.graph_fingerprint,
                names=data.names_fingerprint,
            )
            h = training.model.encode(inputs.features, inputs.graph, inputs.weight)
            kept_embeddings.write(folder.path, facts, h.float().cpu().numpy())
    except Exception as error:
        log.warning(
            "%s cannot be written (%s: %s)",
            *(folder.path / kept_embeddings.FILE, type(error).__name__, error),
        )
