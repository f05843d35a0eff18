"""The audits of a run's scores, on its parts and with the weights of its best epoch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runner.audits.chance import same_chance
from runner.audits.company import audit_company
from runner.audits.knowledge import Seen, audit_knowledge
from runner.audits.limit import Limit
from runner.audits.scores import Score
from runner.audits.training import audit_training
from runner.config.flat import flat
from runner.config.reports import FAILURES
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.experiment import warm_start
from runner.experiment.audited_loss import audit_loss
from runner.experiment.build import build
from runner.experiment.graphs import build_graphs
from runner.experiment.parts import Parts
from runner.experiment.prepared import is_prepared_alike
from runner.models.link_model import LinkModel
from runner.models.predictor import View
from runner.ops.nested import move
from runner.ops.sparse_rows import compact
from runner.training.task import Inputs

log = logging.getLogger(__name__)


def audit(
    parts: Parts,
    folder: Path,
    *,
    epoch: int,
    seconds: float,
    stop_requested: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """The audits of the model as it is, by name; of a pretraining the one of its loss.

    The model has to be in evaluation. An audit that fails, or that cannot be made, is a warning.

    Args:
        folder: of the run.
        epoch: of the weights.
        seconds: of the run, by which each audit is limited.
    """
    training, data = parts.training, parts.data
    began, exact = time.perf_counter(), _is_exact(parts)
    if not training.objective.scores_pairs and not parts.config.train.all_links:
        make = partial(audit_loss, parts, folder, epoch, exact)
        return _told(
            {"knowledge": _attempt("knowledge", make, Limit(seconds, stop_requested))}, began
        )
    if not training.evaluator.names:
        return {}
    valid, test = (
        training.objective.inputs(epoch, inputs)
        for inputs in (training.task.valid_inputs, training.task.test_inputs)
    )
    model = training.model
    audits: dict[str, Callable[[Limit], dict[str, Any]]] = {
        "training": lambda _: audit_training(training, epoch=epoch, exact=exact),
        "company": lambda limit: audit_company(
            _scorers(model, test),
            data.test,
            batch_size=parts.config.train.eval_batch_size,
            exact=exact,
            limit=limit,
        ),
        "knowledge": lambda limit: audit_knowledge(
            _score_splits(model, valid, test),
            partial(_rebuild_scorers, parts, folder, epoch),
            partial(is_prepared_alike, parts, folder),
            data,
            validation_edges=parts.config.protocol.validation_edges_in_test_graph,
            exact=exact,
            limit=limit,
        ),
    }
    if not training.settings.epochs:
        del audits["training"]
    found = {
        name: _attempt(name, make, Limit(seconds, stop_requested)) for name, make in audits.items()
    }
    visible = found.get("training", {}).get("targets_visible")
    return _told(found, began, f"; training targets visible: {visible}" if visible else "")


def _told(found: dict[str, Any], began: float, further: str = "") -> dict[str, Any]:
    log.info("audits: %s%s (%.1f s)", _in_words(found), further, time.perf_counter() - began)
    return found


def _attempt(name: str, make: Callable[[Limit], dict[str, Any]], limit: Limit) -> dict[str, Any]:
    try:
        if not limit.left:
            raise RunnerError("the run was asked to stop")
        with torch.no_grad():
            found = make(limit)
    except Exception as error:  # must not fail a finished run
        known = isinstance(error, RunnerError)
        problem = str(error) if known else f"{type(error).__name__}: {error}"
        log.warning("the audit of %s cannot be made (%s)", name, problem)
        return {"passed": None, "problem": problem}
    if not found["passed"]:
        log.warning("audit of %s failed: %s (docs/audits.md)", name, FAILURES[name])
    return found


def _in_words(found: dict[str, Any]) -> str:
    words = {True: "passed", False: "FAILED", None: "not made"}
    return ", ".join(f"{name} {words[audit['passed']]}" for name, audit in found.items())


def _is_exact(parts: Parts) -> bool:
    values = flat(
        {"train": {"precision": parts.config.train.precision}, "model": parts.config.model}, "."
    )
    precisions = {value for key, value in values.items() if key.endswith(".precision")}
    return "bfloat16" not in precisions


def _scorers(model: LinkModel, inputs: Inputs) -> Callable[[], Score]:
    """What makes scorers of one graph, which is encoded once, when first asked for."""

    @cache
    def embeddings() -> Tensor:
        return model.encode(inputs.features, inputs.graph, inputs.weight)

    def prepare() -> Score:
        score = model.scorer(embeddings(), View.of(inputs.graph, inputs.structure))
        device = inputs.graph.col.device
        return lambda pairs: score(pairs.to(device)).cpu()

    return prepare


def _score_splits(model: LinkModel, valid: Inputs, test: Inputs) -> Seen:
    """What scores pairs of each split, always with the same chance."""

    def score(inputs: Inputs, pairs: Tensor) -> Tensor:
        with same_chance(model):
            return _scorers(model, inputs)()(pairs)

    return {"valid": partial(score, valid), "test": partial(score, test)}


def _rebuild_scorers(parts: Parts, folder: Path, epoch: int, data: LinkData) -> Seen:
    """The same of other data: graphs, features, structures and the predictor are made anew."""
    config, training = parts.config, parts.training
    graphs = build_graphs(data, validation_edges=config.protocol.validation_edges_in_test_graph)
    given, _ = warm_start.input_features(folder, config, data, graphs[0])
    features = compact(given).to(training.task.features.device)
    predictor = build("model", config.model).to(parts.device)
    model = LinkModel(
        training.model.encoder,
        predictor,
        precision=training.model.precision,
        reweighting=training.model.reweighting,
    ).eval()
    predictor.load_state_dict(training.model.predictor.state_dict())
    structures: dict[int, Any] = {}
    inputs = []
    for graph in graphs:
        if id(graph) not in structures:
            structures[id(graph)] = move(predictor.structure(graph), parts.device)
        own = Inputs(features, graph.to(parts.device), structures[id(graph)])
        inputs.append(training.objective.inputs(epoch, own))
    return _score_splits(model, *inputs[1:])
