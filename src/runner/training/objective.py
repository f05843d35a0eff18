"""Objectives: how one learns. The node `objective` of the config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.config.shipped import models_with
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.keys import Effect, PositiveInt, Share
from runner.models.link_model import LinkModel
from runner.ops.aggregate import pool
from runner.ops.all_products import softplus_of_products
from runner.ops.csr import Graph
from runner.ops.stage import stage
from runner.training.encoding import Encoded
from runner.training.ranks import ALONE, Ranks
from runner.training.samplers import Batch
from runner.training.task import Inputs


@dataclass(eq=False)
class Step:
    """One batch, as an objective sees it.

    Attributes:
        batch: all of its pairs; of several processes each has all of them.
        seen: what the encoder runs on, and the pairs by their numbers there.
        epoch: under way, counted from 1.
        computed: what a step has computed so far, by stage, for the report of numbers that are not
            finite.
    """

    model: LinkModel
    batch: Batch
    seen: Encoded
    ranks: Ranks = ALONE
    epoch: int = 1
    computed: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def embeddings(self) -> Tensor:
        """(n, H), encoded once."""
        with stage("encoder"):
            found = self.model.encode(self.seen.features, self.seen.layers, self.seen.weight)
        self.computed["encoder"] = found
        return found

    def logits(self) -> tuple[Tensor, Tensor]:
        """Of this process's share of the positives and of the negatives."""
        return self.learned()[0]

    def learned(self) -> list[tuple[Tensor, Tensor]]:
        """The logits, and after them the further ones that the predictor learns beside them."""
        h, seen = self.embeddings, self.seen
        positives, negatives = self.ranks.share(seen.positives), self.ranks.share(seen.negatives)
        with stage("predictor"), self.ranks.own_chance(self.model):
            scored = [
                (self.model.score(h, seen.view, pairs), *self.model.predictor.further_logits())
                for pairs in self.model.predictor.calls(positives, negatives)
            ]
        logits, *further = (torch.cat(of) for of in zip(*scored, strict=True))
        self.computed["predictor"] = logits
        first = positives.size(1)
        return [(of[:first], of[first:]) for of in (logits, *further)]


class Objective:
    """How one learns. A subclass with ``loss`` is complete.

    Its random state belongs into a ``torch.Generator`` that it seeds by the epoch, so that a resume
    draws the same; ``loss`` may also draw from torch's default generator.

    Attributes:
        prepared: what :meth:`prepare` has computed, on the graph's device; of a resumed run what it
            had computed when the run began.
    """

    scores_pairs: ClassVar[bool] = True
    """Whether it needs a predictor. A pretraining does not: it learns the encoder alone."""

    takes_links: ClassVar[bool] = True
    """Whether it learns from links in batches, with negatives; else one step an epoch sees the
    whole graph, and sampler and negatives are ``none``."""

    takes_negatives: ClassVar[bool] = True
    """Whether it learns from negatives beside the links; else ``negatives`` is ``none``."""

    learns_from_validation: ClassVar[bool] = False
    """Whether it learns from links of validation, in place of those of training."""

    validation_share: float | None = None
    """The share of them; the rest chooses the epoch."""

    learned: nn.Module = nn.Module()
    """Weights that it learns beside the model, with the predictor's learning rate; empty here."""

    prepared: Mapping[str, Tensor] = {}

    def check(self, model: LinkModel, data: LinkData) -> None:
        """Refuse a model or a graph that it cannot learn.

        Raises:
            RunnerError: naming the key.
        """

    def phases(self, model: LinkModel) -> int:
        """How many phases follow each other in training, each up to its own best epoch.

        ``train.epochs``, ``train.patience`` and ``train.evaluate_every`` count within a phase; the
        next one goes on from the weights of its best epoch. The last phase's best is the run's.
        """
        return 1

    def begin(self, phase: int, model: LinkModel) -> None:
        """Make of a model what learns in a phase, counted from 0.

        Called at the beginning of each phase, and by a resume within it. An optimiser leaves alone
        what has no gradient.
        """

    def prepare(self, inputs: Inputs) -> Mapping[str, Tensor]:
        """What it computes once of the training graph and its features, before the first step.

        Checkpoints keep it, and the audit of knowledge computes it again.
        """
        return {}

    def facts(self, graph: Graph) -> Mapping[str, Any]:
        """What the summary says of it.

        Args:
            graph: of training.
        """
        return {}

    def loss(self, step: Step) -> Tensor:
        """The loss of this process's share of a batch, a scalar: all shares add up to the loss."""
        raise NotImplementedError

    def inputs(self, epoch: int, inputs: Inputs) -> Inputs:
        """What the encoder is given in an epoch: its features, or the weights of its edges.

        Called at the beginning of each epoch for the training graph, and before an evaluation for
        each graph that is evaluated on.
        """
        return inputs


class LinkPrediction(Objective):
    """Mean softplus(-logit) of the positives + mean softplus(logit) of the negatives.

    As the NCN release (arXiv 2302.00890). The same of the predictor's further logits, and further
    terms of the model's own, are added.
    """

    def loss(self, step: Step) -> Tensor:
        share = step.embeddings.new_zeros(())
        for positive, negative in step.learned():
            share = share + F.softplus(-positive).sum() / step.batch.positives.size(1)
            share = share + F.softplus(negative).sum() / step.batch.negatives.size(1)
        for term in step.model.loss_terms():
            share = share + term / step.ranks.size
        return share


class ValidationLinks(LinkPrediction):
    """The same on links and negatives of validation: for a model of runs that have not seen them.

    Args:
        share: of validation that is learned from.
    """

    learns_from_validation = True

    def __init__(self, *, share: Share = 0.8) -> None:
        self.validation_share = share


class DenseReconstruction(Objective):
    """Mean binary cross-entropy of sigmoid(h hᵀ) against the training graph, all N² entries.

    The diagonal counts as no link. As the GAE of the HeaRT benchmark (arXiv 2306.10453), which
    leaves out the weights of Kipf and Welling (arXiv 1611.07308).

    Args:
        most_nodes: a larger graph is refused: a step scores every pair of its nodes.
    """

    takes_links = False

    def __init__(self, *, most_nodes: Annotated[PositiveInt, Effect.MACHINE] = 50_000) -> None:
        self.most_nodes = most_nodes

    def check(self, model: LinkModel, data: LinkData) -> None:
        what = "this objective learns the inner products of all pairs of nodes"
        others = "take objective=link_prediction"
        if not model.predictor.product_of_ends:
            named = " or ".join(models_with("product_of_ends", True))
            raise RunnerError(
                f"model: {what}, and this predictor scores by something else; give model={named}, "
                f"or {others}"
            )
        if data.num_nodes > self.most_nodes:
            raise RunnerError(
                f"objective.most_nodes={self.most_nodes}: {what}, of this graph "
                f"{data.num_nodes**2:,} a step; raise it, or {others}"
            )
        if data.num_sources is not None or len(data.new_nodes):
            pairs = "held-out nodes" if len(data.new_nodes) else "two nodes of one side"
            raise RunnerError(f"objective: {what}, {pairs} too, as if they were no links; {others}")

    def loss(self, step: Step) -> Tensor:
        h, graph = step.embeddings, step.batch.whole
        rows = torch.arange(graph.num_nodes, device=h.device).unsqueeze(0)
        rows = step.ranks.share(rows).squeeze(0)
        with stage("predictor"):
            linked = (h * pool(h, graph.rowptr, graph.col))[rows].sum()
            share = (softplus_of_products(h, rows) - linked) / graph.num_nodes**2
        for term in step.model.loss_terms():
            share = share + term / step.ranks.size
        return share
