"""What a run refuses of its split and its model before it trains, and a dry run too."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from runner.config.schema import RunConfig
from runner.data.audit import Audit, audit, enforce
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.experiment.bipartite import check_model
from runner.models.encoder import NoEncoder
from runner.models.link_model import LinkModel
from runner.models.node_embedding import node_embeddings
from runner.models.predictor import NoPredictor
from runner.ops.sparse_rows import SparseRows
from runner.training.evaluator import Evaluator, NoEvaluator
from runner.training.objective import Objective
from runner.training.ranks import Ranks

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


def check_asked(config: RunConfig, objective: Objective, evaluator: Evaluator) -> None:
    """Refuse what a run is to keep or report of links that it does not score.

    Raises:
        RunnerError: naming the keys.
    """
    scores_none = isinstance(evaluator, NoEvaluator)
    if config.train.all_links and not scores_none:
        raise RunnerError(
            "train.all_links=true: no links are left to evaluate on; give evaluator=none, or leave "
            "it out"
        )
    if config.train.all_links and objective.learns_from_validation:
        raise RunnerError(
            "train.all_links=true: this objective learns from links of validation, of which none "
            "are left; refit the runs that the model scores by"
        )
    if config.run.node_report and scores_none:
        raise RunnerError(
            "run.node_report=true: with evaluator=none there are no links to rank; leave one out"
        )
    if config.run.keep_scores and scores_none:
        raise RunnerError(
            "run.keep_scores=true: with evaluator=none there are no pairs to score; leave one out"
        )


def check_processes(model: LinkModel, ranks: Ranks) -> None:
    """Refuse several processes where the rows of a batch are normalised together.

    Raises:
        RunnerError: naming the key.
    """
    of_pairs = model.predictor.normalises_pairs
    if ranks.size > 1 and (of_pairs or any(isinstance(m, _BatchNorm) for m in model.modules())):
        raise RunnerError(
            "hardware.processes: this model normalises the pairs of a batch together, and several "
            "processes would each see a part of them; give hardware.processes=1"
        )
    if of_pairs:
        log.info(
            "this predictor normalises the pairs that are scored together: its scores depend on "
            "train.batch_size and train.eval_batch_size"
        )


def check_parts(
    config: RunConfig, model: LinkModel, objective: Objective, evaluator: Evaluator
) -> None:
    """Refuse an encoder without a predictor where pairs are scored, and one without embeddings.

    Raises:
        RunnerError: naming the keys.
    """
    if config.run.node_report and model.predictor.of_finished_runs:
        raise RunnerError(
            "run.node_report=true: this model scores the pairs that its runs have scored, and a "
            "report of nodes ranks all; leave it out, and report the runs themselves"
        )
    if config.run.keep_embeddings and isinstance(model.encoder, NoEncoder):
        raise RunnerError(
            "run.keep_embeddings=true: this model has no encoder, and embeds no nodes; leave it out"
        )
    without_scores = isinstance(model.predictor, NoPredictor)
    if without_scores and (objective.scores_pairs or evaluator.names):
        raise RunnerError(
            "model=none: this objective and evaluator score pairs, which takes a predictor; give "
            "an objective that learns the encoder alone, and evaluator=none"
        )
    if config.train.schedule is not None and objective.phases(model) > 1:
        raise RunnerError(
            "train.schedule: this objective learns in phases, and a schedule would run through all "
            "of them; leave it out"
        )
    if not objective.scores_pairs and any(True for _ in model.predictor.parameters()):
        raise RunnerError(
            "model: this objective learns the encoder alone, and the weights of a predictor would "
            "stay as they were drawn; give model=none, and train the predictor in a run that "
            "begins from this one (train.init_from)"
        )
    if isinstance(model.encoder, NoEncoder) and model.predictor.product_of_ends:
        raise RunnerError(
            "encoder=none: this predictor scores the product of embeddings; give another encoder"
        )


def check_fit(
    name: str,
    model: LinkModel,
    data: LinkData,
    num_categories: int | None,
    features: Tensor | SparseRows | None,
) -> None:
    """Refuse a model that cannot score the links of this dataset.

    Args:
        name: of the model, for the message.
        num_categories, features: of the encoder's input; None for features that are not known yet.

    Raises:
        RunnerError: naming the remedy.
    """
    check_model(name, model.predictor, data)
    if features is not None:
        model.encoder.check(features)
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
