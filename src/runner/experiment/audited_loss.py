"""The audit of a pretraining, which scores no pairs: whether its loss knows hidden links."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runner.audits.chance import same_chance
from runner.audits.knowledge import Seen, audit_knowledge
from runner.audits.limit import Limit
from runner.data.link_data import LinkData
from runner.experiment import warm_start
from runner.experiment.build import build, build_objective
from runner.experiment.graphs import build_graphs
from runner.experiment.parts import Parts, build_negatives
from runner.experiment.prepared import is_prepared_alike
from runner.ops.nested import move
from runner.ops.sparse_rows import compact
from runner.training.generators import Generators
from runner.training.objective import Step
from runner.training.samplers import LinkSampler
from runner.training.task import Inputs


def audit_loss(parts: Parts, folder: Path, epoch: int, exact: bool, limit: Limit) -> dict[str, Any]:
    """The knowledge audit, with the loss of a first batch in the place of scores.

    Args:
        folder: of the run.
        epoch: of the weights.
        exact: see :func:`~runner.audits.scores.tolerance`.
    """
    see = partial(_see, parts, folder, epoch)
    data = parts.data
    alike = partial(is_prepared_alike, parts, folder)
    found = audit_knowledge(
        see(data), see, alike, data, validation_edges=False, exact=exact, limit=limit
    )
    return {key: value for key, value in found.items() if key != "pairs"}  # none is scored


def _see(parts: Parts, folder: Path, epoch: int, data: LinkData) -> Seen:
    with same_chance(parts.training.model):
        loss = _first_loss(parts, folder, epoch, data).reshape(1).cpu()
    return dict.fromkeys(("valid", "test"), lambda _: loss)


def _first_loss(parts: Parts, folder: Path, epoch: int, data: LinkData) -> Tensor:
    """The loss of an epoch's first batch, with all that depends on the data made anew."""
    config, training, seeds = parts.config, parts.training, parts.config.seeds
    graph = build_graphs(data, validation_edges=False)[0]
    given, _ = warm_start.input_features(folder, config, data, graph)
    features = compact(given).to(training.task.features.device)
    objective = build_objective(config)
    objective.learned.load_state_dict(training.objective.learned.state_dict())
    objective.learned.to(parts.device)
    objective.check(training.model, data)
    sampler: LinkSampler = build(
        "sampler",
        config.sampler,
        graph=graph.to(parts.device),
        targets=data.train.to(parts.device),
        negatives=build_negatives(config, data, None),
        generators=Generators(
            batches=seeds.batches, negatives=seeds.negatives, dropout=seeds.dropout
        ),
    )
    given_inputs = Inputs(features, sampler.graph)
    objective.prepared = move(objective.prepare(given_inputs), parts.device)
    inputs = objective.inputs(epoch, given_inputs)
    batch = next(sampler.epoch())
    with torch.no_grad():
        return objective.loss(
            Step(training.model, batch, training.encoding.view(inputs, batch), epoch=epoch)
        )
