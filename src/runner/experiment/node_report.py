"""The report of the nodes of a run, at its end."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from runner.config.reports import NODES
from runner.errors import Interrupted
from runner.experiment.parts import Parts
from runner.records.best_weights import best_weights
from runner.records.folder import RunFolder
from runner.training.state import TrainingState

log = logging.getLogger(__name__)


def node_report(
    parts: Parts, folder: RunFolder, state: TrainingState, stop_requested: Callable[[], bool]
) -> None:
    """Write nodes.csv with the weights of the best epoch; a failure is told and ends no run.

    Raises:
        Interrupted: after a signal; a resume writes the file.
    """

    # SciPy is slow to import, for a report that few runs ask for.
    from runner.audits.node_report import reporter, write_node_report

    def stop_if_asked() -> None:
        if stop_requested():
            raise Interrupted

    assert state.best is not None
    training = parts.training
    inputs = training.objective.inputs(state.best["epoch"], training.task.test_inputs)
    judge = reporter(training.evaluator, parts.config.train.eval_batch_size)
    try:
        with best_weights(training.model, folder, "the report of nodes is"):
            places = judge.rank_nodes(training.model, inputs, training.task.test, stop_if_asked)
            weights = training.model.message_weights(training.task.train_graph)
        graph = training.task.train_graph.to(torch.device("cpu"))
        write_node_report(folder.path, parts.data, graph, places, judge.node_metrics, weights)
    except Interrupted:
        raise
    except Exception as error:
        log.warning(
            "%s cannot be written (%s: %s); `runner-evaluate %s --nodes` tries again",
            *(NODES, type(error).__name__, error, folder.path),
        )
