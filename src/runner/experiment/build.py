"""From the resolved config to the parts of a run, by `_target_` alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from runner.config.places import PLACES
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.machine.out_of_memory import is_out_of_memory
from runner.models.link_model import LinkModel

log = logging.getLogger(__name__)


def build(name: str, node: Mapping[str, Any]) -> Any:
    """Build one node, nested nodes first.

    Raises:
        RunnerError: naming the node and what it refused, or if its `_target_` gives something else
            than such a part of a run.
    """
    return _of_its_kind(
        name, node, _unwrap(name, partial(instantiate, dict(node), _convert_="all"))
    )


def build_with(name: str, node: Mapping[str, Any], **given: Any) -> Any:
    """Build one node from its config and from what only this run knows."""
    # Partial first: Hydra would take our dataclasses among `given` for configs.
    factory = _unwrap(name, partial(instantiate, dict(node), _convert_="all", _partial_=True))
    return _of_its_kind(name, node, _unwrap(name, partial(factory, **given)))


def _of_its_kind(name: str, node: Mapping[str, Any], built: Any) -> Any:
    needs = PLACES[name].needs if name in PLACES else ()
    lacking = [attribute for attribute in needs if not hasattr(built, attribute)]
    if lacking or isinstance(built, type):
        raise RunnerError(
            f"{name}._target_: {node['_target_']} gives a {type(built).__name__}, which is no "
            f"{name.rpartition('.')[2]} (it has no {', '.join(lacking) or 'values'})"
        )
    return built


def _unwrap(name: str, make: Any) -> Any:
    try:
        return make()
    except InstantiationException as error:
        cause = error.__cause__
        while isinstance(cause, InstantiationException):
            cause = cause.__cause__
        if isinstance(cause, RunnerError):
            raise cause from None
        if cause is not None and is_out_of_memory(cause):
            raise cause from None
        message = str(cause or error).splitlines()[0]
        raise RunnerError(f"{name} cannot be built: {message}") from error
    except (ValueError, TypeError) as error:
        raise RunnerError(f"{name} cannot be built: {error}") from error


def build_model(
    config: Mapping[str, Any], *, num_features: int, num_categories: int | None
) -> LinkModel:
    """Encoder and predictor, initialised by `seeds.initialisation` alone."""
    with torch.random.fork_rng():
        torch.manual_seed(config["seeds"]["initialisation"])
        encoder = build_with(
            "encoder", config["encoder"], num_features=num_features, num_categories=num_categories
        )
        precision = getattr(torch, config["train"]["precision"])
        return LinkModel(
            encoder=encoder,
            predictor=build("model", config["model"]),
            precision=None if precision == torch.float32 else precision,
        )


def load_data(config: Mapping[str, Any]) -> LinkData:
    """The dataset of the config, with its split."""
    return build("dataset.source", config["dataset"]["source"])


def without_idle_training(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config with `train.epochs=0` if its predictor has no parameters, as heuristics have not.

    So that a sweep over models may set `train.epochs`.
    """
    epochs = config["train"]["epochs"]
    with torch.random.fork_rng():
        predictor = build("model", config["model"])
    if epochs == 0 or any(True for _ in predictor.parameters()):
        return config
    log.info(
        "%s has nothing to train: train.epochs=%d is taken as 0", config["run"]["model"], epochs
    )
    return {**config, "train": {**config["train"], "epochs": 0}}
