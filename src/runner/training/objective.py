"""Objectives: how one learns. The node `objective` of the config."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from runner.models.link_model import LinkModel
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
        computed: what a step has computed so far, by stage, for the report of numbers that are not
            finite.
    """

    model: LinkModel
    batch: Batch
    seen: Encoded
    ranks: Ranks = ALONE
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
        h, seen = self.embeddings, self.seen
        positives, negatives = self.ranks.share(seen.positives), self.ranks.share(seen.negatives)
        with stage("predictor"), self.ranks.own_chance(self.model):
            pairs = torch.cat([positives, negatives], dim=1)
            logits = self.model.score(h, seen.view, pairs)
        self.computed["predictor"] = logits
        positive, negative = logits.tensor_split([positives.size(1)])
        return positive, negative


class Objective:
    """How one learns. A subclass with ``loss`` is complete.

    Its random state belongs into a ``torch.Generator`` that it seeds by the epoch, so that a resume
    draws the same.
    """

    scores_pairs: ClassVar[bool] = True
    """Whether it needs a predictor. A pretraining does not: it learns the encoder alone."""

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

    As the NCN release (arXiv 2302.00890); further terms of the model's own are added.
    """

    def loss(self, step: Step) -> Tensor:
        positive, negative = step.logits()
        share = F.softplus(-positive).sum() / step.batch.positives.size(1)
        share = share + F.softplus(negative).sum() / step.batch.negatives.size(1)
        for term in step.model.loss_terms():
            share = share + term / step.ranks.size
        return share
