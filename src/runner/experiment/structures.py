"""Structures: values that a predictor computes once for each graph, cached and shared."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
from pathlib import Path
from typing import Any

import torch

from runner import ops
from runner.config.schema import RunConfig
from runner.models.predictor import Predictor
from runner.ops.csr import Graph
from runner.ops.nested import move
from runner.storage.files import atomic
from runner.storage.seal import Damaged, seal_archive, verify_archive
from runner.training.ranks import Ranks
from runner.training.task import Task

log = logging.getLogger(__name__)


def with_structures(task: Task, predictor: Predictor, config: RunConfig, ranks: Ranks) -> Task:
    """Add the predictor's structures of the graphs of training, validation and test to the task.

    One process of each machine computes them. They stay in the cache for resumes and for other
    runs with the same graph, and the same settings and code of the predictor.
    """
    if not _has_structure(predictor):
        return task
    graphs = [task.train_graph, task.valid_graph, task.test_graph]
    firsts = [next(n for n, other in enumerate(graphs) if other is graph) for graph in graphs]

    def make() -> dict[int, Any]:
        return {n: _load_or_compute(graphs[n], predictor, config) for n in sorted(set(firsts))}

    found = ranks.once_a_host(make, ())
    moved = {n: move(structure, task.train_graph.col.device) for n, structure in found.items()}
    return task.with_structures(*(moved[n] for n in firsts))


def structure_of(
    graph: Graph, predictor: Predictor, config: RunConfig, device: torch.device
) -> Any:
    """The predictor's structure of one graph, from the cache if it has it; None for none."""
    if not _has_structure(predictor):
        return None
    return move(_load_or_compute(graph, predictor, config), device)


def _has_structure(predictor: Predictor) -> bool:
    return type(predictor).structure is not Predictor.structure


def _load_or_compute(graph: Graph, predictor: Predictor, config: RunConfig) -> Any:
    key = json.dumps(
        [config.model, _code_of(predictor), graph.fingerprint, *predictor.reads], sort_keys=True
    )
    digest = hashlib.sha256(key.encode()).hexdigest()
    path = Path(config.run.cache) / "structures" / f"{digest[:32]}.pt"
    try:
        verify_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["key"] == key:
            return content["structure"]
    except (OSError, Damaged):
        pass  # missing or damaged: computed again
    with torch.no_grad():
        structure = move(predictor.structure(graph), torch.device("cpu"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary:
            torch.save({"key": key, "structure": structure}, temporary)
            seal_archive(temporary)
    except (OSError, RuntimeError) as error:
        log.debug("the structure is not kept: %s", error)
    return structure


def _code_of(predictor: Predictor) -> list[str]:
    """SHA-256 of the modules that compute it, since edited code may compute another structure.

    They are those of its classes, of the predictors within it, and all of `runner.ops`.
    """
    kinds = {type(part) for part in predictor.modules()}
    own = {cls for kind in kinds for cls in kind.__mro__ if issubclass(cls, Predictor)}
    operators = Path(inspect.getfile(ops)).parent.rglob("*.py")
    files = sorted({*map(inspect.getfile, own), *map(str, operators)})
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in files]
