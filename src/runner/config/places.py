"""The places of a run's components: what each is, and what it is given when it is built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A node of the config that a component is built from.

    Attributes:
        contract: the class that the component is of.
        given: arguments that only a run knows, and no config.
    """

    contract: str
    given: frozenset[str] = frozenset()


PLACES = {
    "encoder": Place(
        "runner.models.encoder.Encoder",
        frozenset({"num_features", "num_categories", "num_nodes"}),
    ),
    "model": Place("runner.models.predictor.Predictor"),
    "objective": Place("runner.training.objective.Objective"),
    "negatives": Place("runner.training.negatives.NegativeSampler"),
    "sampler": Place(
        "runner.training.samplers.LinkSampler",
        frozenset({"graph", "targets", "negatives", "generators"}),
    ),
    "encoding": Place("runner.training.encoding.Encoding"),
    "evaluator": Place("runner.training.evaluator.Evaluator"),
    "protocol.negatives": Place("runner.data.evaluation_negatives.EvaluationNegatives"),
    "tracker": Place("runner.tracking.tracker.Tracker"),
    "dataset.source": Place("runner.data.link_data.LinkData"),
    "train.optimizer": Place("torch.optim.Optimizer", frozenset({"params"})),
    "train.reweight": Place("runner.models.reweighting.Reweighting"),
    "train.schedule": Place("torch.optim.lr_scheduler.LRScheduler", frozenset({"optimizer"})),
}
