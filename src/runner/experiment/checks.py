"""What a run refuses of its split and its model before it trains, and a dry run too."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from runner.config.schema import RunConfig
from runner.data.audit import Audit, audit, enforce
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.experiment.bipartite import check_model
from runner.models.encoder import NoEncoder
from runner.models.link_model import LinkModel
from runner.models.node_embedding import node_embeddings
from runner.models.predictor import NoPredictor
from runner.training.evaluator import Evaluator
from runner.training.objective import Objective

log = logging.getLogger(__name__)


def check_split(config: RunConfig, data: LinkData, *, keep: bool = True) -> Audit:
    """Count the leaks of a split, and log those that the protocol permits.

    Args:
        keep: the counts go into the cache.

    Raises:
        RunnerError: if one of our own splits leaks.
    """
    protocol = config.protocol
    checked = audit(data, cache=Path(config.run.cache), keep=keep)
    permitted = [*protocol.permitted_overlaps, *data.permitted]
    for level, line in enforce(checked, official=protocol.official_split, permitted=permitted):
        log.log(level, "%s", line)
    return checked


def check_parts(model: LinkModel, objective: Objective, evaluator: Evaluator) -> None:
    """Refuse an encoder without a predictor where pairs are scored, and one without embeddings.

    Raises:
        RunnerError: naming the keys.
    """
    without_scores = isinstance(model.predictor, NoPredictor)
    if without_scores and (objective.scores_pairs or evaluator.names):
        raise RunnerError(
            "model=none: this objective and evaluator score pairs, which takes a predictor; give "
            "an objective that learns the encoder alone, and evaluator=none"
        )
    if isinstance(model.encoder, NoEncoder) and model.predictor.product_of_ends:
        raise RunnerError(
            "encoder=none: this predictor scores the product of embeddings; give another encoder"
        )


def check_fit(name: str, model: LinkModel, data: LinkData, num_categories: int | None) -> None:
    """Refuse a model that cannot score the links of this dataset.

    Args:
        name: of the model, for the message.
        num_categories: of the encoder's input.

    Raises:
        RunnerError: naming the remedy.
    """
    check_model(name, model.predictor, data)
    _refuse_unlearned(model, data, num_categories)


def _refuse_unlearned(model: LinkModel, data: LinkData, num_categories: int | None) -> None:
    """Refuse learned embeddings of nodes that are held out, and so are never learned."""
    if data.valid_support is None and data.test_support is None:
        return
    new = data.new_nodes
    if num_categories is not None and model.encoder.needs_features:
        there = torch.ones(data.num_nodes, dtype=torch.bool).index_fill_(0, new, False)
        new = new[~torch.isin(data.features[new], data.features[there])]
    elif not node_embeddings(model):
        return
    if len(new):
        raise RunnerError(
            f"encoder: {len(new)} nodes come after training, and their embeddings would never be "
            "learned; give every node values of its own (dataset.nodes, dataset.features), or "
            "take a model that learns no embeddings, as the heuristics"
        )
