"""Which models can use a bipartite graph, in which no pair across has a common neighbour."""

from __future__ import annotations

import logging

from runner.config.shipped import models_with
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.models.predictor import Predictor

log = logging.getLogger(__name__)


def check_model(name: str, predictor: Predictor, data: LinkData) -> None:
    """Refuse a model that scores common neighbours alone; log where they are a term of the score.

    Raises:
        RunnerError: naming the models that can use the graph.
    """
    if data.num_sources is None or predictor.common_neighbours == "none":
        return
    what = "in a bipartite graph no source and target have a common neighbour"
    options = models_with("common_neighbours", "none")
    others = ", ".join(name for name in options if name != "none")
    if predictor.common_neighbours == "all":
        raise RunnerError(f"model={name}: {what}, and every score would be 0; choose of {others}")
    log.warning("%s: this model's term of them is always empty; without one are %s", what, others)
