"""Build the parts of a run from the resolved config, by `_target_` alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import Tensor, nn

from runner.config.locate import locate
from runner.config.places import PLACES
from runner.config.schema import RunConfig, Train
from runner.config.signatures import signature
from runner.data.all_links import all_for_training
from runner.data.evaluation_negatives import EvaluationNegatives
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.experiment.graphs import build_graphs
from runner.machine.out_of_memory import is_out_of_memory
from runner.models.encoder import NoEncoder
from runner.models.link_model import LinkModel
from runner.models.predictor import Predictor
from runner.models.reweighting import Reweighting
from runner.ops.csr import Graph
from runner.training.objective import Objective
from runner.training.optimizers import Schedule, build_optimizer

log = logging.getLogger(__name__)


def build(name: str, node: Mapping[str, Any], **given: Any) -> Any:
    """Build a component from its node, nested nodes first.

    Args:
        given: further arguments, which only this run knows.

    Raises:
        RunnerError: if the constructor refuses its arguments, or the `_target_` gives no instance
            of the class of this place.
    """
    # Partial first: Hydra would treat our dataclasses among `given` as configs.
    factory = _unwrap(name, partial(instantiate, dict(node), _convert_="all", _partial_=True))
    built = _unwrap(name, partial(factory, **given))
    contract = PLACES[name].contract if name in PLACES else None
    if contract is not None and not isinstance(built, locate(contract)):  # type: ignore[arg-type]
        raise RunnerError(
            f"{name}._target_: {node['_target_']} gives a {type(built).__name__}, which is no "
            f"{contract.rpartition('.')[2]}; see {contract}"
        )
    return built


def build_maker(name: str, node: Mapping[str, Any]) -> Any:
    """Return a function that makes the component from later positional arguments."""
    return _unwrap(name, partial(instantiate, dict(node), _convert_="all", _partial_=True))


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
    config: RunConfig,
    *,
    num_features: int,
    num_categories: int | None,
    num_nodes: int,
    training: tuple[Graph, Tensor] | None = None,
) -> LinkModel:
    """Encoder and predictor, initialised by `seeds.initialisation` alone.

    Args:
        training: the graph and the targets; None for a model whose weights are loaded.
    """
    sizes = {"num_features": num_features, "num_categories": num_categories}
    if "num_nodes" in signature(config.encoder["_target_"]).parameters:
        sizes["num_nodes"] = num_nodes
    with torch.random.fork_rng():
        torch.manual_seed(config.seeds.initialisation)
        encoder = build("encoder", config.encoder, **sizes)
        predictor: Predictor = build("model", config.model)
        if not predictor.reads_embeddings and not isinstance(encoder, NoEncoder):
            log.info("this model reads no embeddings: the encoder is left out")
            encoder = NoEncoder()
        reweight = config.train.reweight
        reweighting: Reweighting | None = (
            None if reweight is None else build("train.reweight", reweight)
        )
        if training is not None:
            predictor.prepare(*training)
            if reweighting is not None:
                reweighting.start(encoder, predictor, training[0])
        precision = getattr(torch, config.train.precision)
        return LinkModel(
            encoder=encoder,
            predictor=predictor,
            precision=None if precision == torch.float32 else precision,
            reweighting=reweighting,
        )


def build_objective(config: RunConfig) -> Objective:
    """The objective, its weights initialised by `seeds.initialisation`, by other draws than a
    model's."""
    seed = np.random.SeedSequence([config.seeds.initialisation, 1]).generate_state(1, np.uint64)[0]
    with torch.random.fork_rng():
        torch.manual_seed(int(seed >> 1))
        objective: Objective = build("objective", config.objective)
    return objective


def build_optimiser(
    model: LinkModel, learned: nn.Module, train: Train, folder: Path | None
) -> tuple[torch.optim.Optimizer | None, Schedule | None]:
    """The optimiser of all weights, and the schedule of its learning rates; none without epochs.

    Args:
        learned: weights of the objective.
        folder: folder for the moments of embeddings on disk.
    """
    if train.epochs == 0:  # an optimiser imports torch's compiler, which takes a second
        return None, None
    optimizer = _unwrap(
        "train.optimizer",
        lambda: build_optimizer(
            model,
            make=build_maker("train.optimizer", train.optimizer),
            lr_encoder=train.lr_encoder,
            lr_predictor=train.lr_predictor,
            weight_decay=train.weight_decay,
            folder=folder,
            learned=learned,
        ),
    )
    if train.schedule is None:
        return optimizer, None
    make = build_maker("train.schedule", train.schedule)
    return optimizer, Schedule(_unwrap("train.schedule", lambda: make(optimizer)))


def load_data(config: RunConfig) -> LinkData:
    """The dataset of the config, with its split and negatives, or with all links for training."""
    data: LinkData = build("dataset.source", config.dataset.source)
    if config.train.all_links:
        return all_for_training(data)
    protocol = config.protocol
    if protocol.negatives is None:
        return data
    negatives: EvaluationNegatives = build("protocol.negatives", protocol.negatives)
    graphs = build_graphs(data, validation_edges=protocol.validation_edges_in_test_graph)
    return negatives.draw(data, *graphs[1:])


def without_idle_training(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config with `train.epochs=0` if there is nothing to train, as for heuristics.

    So a sweep over models may set `train.epochs`.
    """
    epochs = config["train"]["epochs"]
    with torch.random.fork_rng():
        predictor: Predictor = build("model", config["model"])
        objective: Objective = build("objective", config["objective"])
    if epochs == 0 or predictor.trainable or not objective.scores_pairs:
        return config
    log.info(
        "%s has nothing to train: train.epochs=%d is taken as 0", config["run"]["model"], epochs
    )
    return {**config, "train": {**config["train"], "epochs": 0}}
