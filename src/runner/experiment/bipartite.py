"""Which models can use a bipartite graph, in which no pair across has a common neighbour."""

from __future__ import annotations

import logging
from importlib.resources import files

import yaml

from runner.config.signatures import constant
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.models.predictor import NoPredictor, Predictor

log = logging.getLogger(__name__)


def check_model(name: str, predictor: Predictor, data: LinkData) -> None:
    """Refuse a model that scores common neighbours alone; log where they are a term of the score.

    Raises:
        RunnerError: naming the models that can use the graph.
    """
    if data.num_sources is None or predictor.common_neighbours == "none":
        return
    what = "in a bipartite graph no source and target have a common neighbour"
    others = ", ".join(_without_common_neighbours())
    if predictor.common_neighbours == "all":
        raise RunnerError(f"model={name}: {what}, and every score would be 0; choose of {others}")
    log.warning("%s: this model's term of them is always empty; without one are %s", what, others)


def _without_common_neighbours() -> list[str]:
    """Options of the group `model` whose scores take nothing from common neighbours."""
    found = []
    for option in files("runner.conf").joinpath("model").iterdir():
        target = (yaml.safe_load(option.read_text()) or {}).get("_target_")
        if target in (None, f"{NoPredictor.__module__}.{NoPredictor.__qualname__}"):
            continue
        if constant(target, "common_neighbours") == "none":
            found.append(option.name.removesuffix(".yaml"))
    return sorted(found)
