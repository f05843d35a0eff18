"""Validation and test scores of a model, by the protocol."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from runner.data.link_data import EvaluationSplit
from runner.errors import RunnerError
from runner.keys import AtATime, Before, Effect, PositiveInt
from runner.models.link_model import LinkModel
from runner.models.predictor import View
from runner.ops.stage import stage
from runner.training.metrics import Metric
from runner.training.named_metrics import parse_metric
from runner.training.node_ranking import NodeMetric, Places, queries, rank_links
from runner.training.ranks import ALONE, Ranks
from runner.training.task import Inputs

log = logging.getLogger(__name__)

_AUTOMATIC_K = (1, 3, 10, 20, 50, 100)


class Evaluator:
    """Scores a model; this one not at all, as for a pretraining."""

    names: Sequence[str] = ()
    """The metrics of this run; fixed by :meth:`prepare`."""

    selection: str | None = None
    """The metric that decides the best epoch, on validation; None: the last epoch is the best."""

    facts: Mapping[str, Any] = {}
    """What the summary says of the evaluation beside its metrics; fixed by :meth:`prepare`."""

    def prepare(self, splits: Mapping[str, EvaluationSplit]) -> None:
        """Fix the metrics for these splits."""

    def evaluate(
        self,
        model: LinkModel,
        inputs: Inputs,
        split: EvaluationSplit,
        between_batches: Callable[[], None] = lambda: None,
        ranks: Ranks = ALONE,
    ) -> dict[str, float]:
        """Every metric on one split."""
        return {}


class NoEvaluator(Evaluator):
    """No evaluation, no metrics."""


class RankingEvaluator(Evaluator):
    """Scores positives against negatives, and the links of nodes against all nodes.

    Args:
        metrics: short names, or metrics; None chooses Hits@K by the number of negatives, and MRR.
        select: the metric whose validation value decides the best epoch; None: the last Hits@K.
        batch_size: pairs scored at a time; bounds memory and changes no result, unless scores
            depend on the batch (docs/audits.md).
        queries: how many nodes are ranked among all, of those with a link; more are drawn from,
            with a fixed seed. "auto" takes as many as make 20 million scores.
        company: "apart" scores the pairs of a split in file order, positives in batches of their
            own; "mixed" in common batches, in an order drawn with a fixed seed. It changes nothing
            but scores that depend on the batch.
    """

    def __init__(
        self,
        *,
        metrics: Annotated[list[str | Metric] | None, Effect.EQUAL],
        select: str | None,
        batch_size: AtATime,
        queries: Annotated[
            PositiveInt | Literal["auto", "all"], Effect.EQUAL, Before("auto")
        ] = "auto",
        company: Annotated[Literal["apart", "mixed"], Before("apart")] = "apart",
    ) -> None:
        self.metrics = None if metrics is None else [parse_metric(name) for name in metrics]
        self.select = select
        self.batch_size = batch_size
        self.queries = queries
        self.company = company
        self.facts = {}
        self._warned = False

    def prepare(self, splits: Mapping[str, EvaluationSplit]) -> None:
        """Fix the metrics for these splits.

        Raises:
            RunnerError: if a K is larger than the number of negatives (OGB would answer 1.0).
        """
        counts = {name: split.negative.shape[-1] for name, split in splits.items()}
        smallest = min(counts.values())
        if self.metrics is None:
            # At least 30 negatives a rank, so that one lucky negative does not decide.
            usable = [k for k in _AUTOMATIC_K if k == 1 or k * 30 <= smallest][-3:]
            self.metrics = [parse_metric(f"hits@{k}") for k in usable] + [parse_metric("mrr")]
        for metric in self.metrics:
            for name, count in counts.items():
                if metric.negatives > count:
                    raise RunnerError(
                        f"protocol.metrics: {metric.name} needs at least {metric.negatives} "
                        f"negatives, the {name} split has {count}; choose a smaller K or draw "
                        "more negatives (protocol.split.*_negatives)"
                    )
        names = self.names
        if len(set(names)) < len(names):
            raise RunnerError(f"protocol.metrics: {', '.join(names)}: a name stands twice")
        if self.select is None:
            hits = [metric.name for metric in self.metrics if metric.automatic]
            self.select = (hits or names)[-1]
        if self.select not in names:
            raise RunnerError(
                f"protocol.select={self.select}: the metrics of this run are "
                f"{', '.join(names)}; select one of them"
            )
        self.facts = self._count_ranked(splits) if self.node_metrics else {}

    def _count_ranked(self, splits: Mapping[str, EvaluationSplit]) -> dict[str, Any]:
        ranked = {}
        for name, split in splits.items():
            nodes, of = queries(split, self.queries)
            ranked[name] = {"nodes": nodes.numel(), "of": of}
            if nodes.numel() < of:
                log.warning(
                    "%s: %d of the %d nodes with a link are ranked, drawn with a fixed seed; "
                    "evaluator.queries=all ranks every one",
                    *(name, nodes.numel(), of),
                )
        return {"ranked": ranked}

    @property
    def node_metrics(self) -> list[NodeMetric]:
        """Those of the metrics that rank nodes."""
        return [metric for metric in self.metrics or () if isinstance(metric, NodeMetric)]

    @property
    def names(self) -> list[str]:  # type: ignore[override]
        """The metrics of this run; fixed by `prepare`."""
        assert self.metrics is not None, "prepare() fixes the metrics"
        return [metric.name for metric in self.metrics]

    @property
    def selection(self) -> str:  # type: ignore[override]
        """The metric that decides the best epoch, on validation; fixed by `prepare`."""
        assert self.select is not None, "prepare() fixes the metrics"
        return self.select

    def evaluate(
        self,
        model: LinkModel,
        inputs: Inputs,
        split: EvaluationSplit,
        between_batches: Callable[[], None] = lambda: None,
        ranks: Ranks = ALONE,
    ) -> dict[str, float]:
        """Every metric on one split; the encoder runs once on the whole graph.

        Args:
            between_batches: called before each batch of pairs; what it raises ends the evaluation.
            ranks: the processes that score the batches in turn, and get all scores.

        Shapes:
            split: positives (2, P), negatives (2, K) or (2, P, K).
        """
        model.eval()
        with torch.no_grad(), stage("evaluation"):
            score = self._scorer(model, inputs)
            with ranks.own_chance(model):
                positive, negative = self._score_split(score, split, between_batches, ranks)
                if self.node_metrics:
                    places = self._rank(score, split, between_batches, ranks)
        self._warn_of_ties(positive, negative)
        assert self.metrics is not None, "prepare() fixes the metrics"
        return {
            metric.name: float(metric.of_nodes(places).mean())
            if isinstance(metric, NodeMetric)
            else metric(positive, negative)
            for metric in self.metrics
        }

    def scores(
        self,
        model: LinkModel,
        inputs: Inputs,
        split: EvaluationSplit,
        between_batches: Callable[[], None] = lambda: None,
    ) -> tuple[Tensor, Tensor]:
        """Of the positives, (P,), and the negatives, (K,) or (P, K); see :meth:`evaluate`."""
        with torch.no_grad(), stage("evaluation"):
            return self._score_split(self._scorer(model, inputs), split, between_batches, ALONE)

    def rank_nodes(
        self,
        model: LinkModel,
        inputs: Inputs,
        split: EvaluationSplit,
        between_batches: Callable[[], None] = lambda: None,
    ) -> Places:
        """Where the links of a split stand among all nodes; see :meth:`evaluate`."""
        with torch.no_grad(), stage("evaluation"):
            return self._rank(self._scorer(model, inputs), split, between_batches, ALONE)

    @staticmethod
    def _scorer(model: LinkModel, inputs: Inputs) -> Callable[[Tensor], Tensor]:
        with stage("encoder"):
            embeddings = model.encode(inputs.features, inputs.graph, inputs.weight)
        return model.scorer(embeddings, View.of(inputs.graph, inputs.structure))

    def _score_split(
        self,
        score: Callable[[Tensor], Tensor],
        split: EvaluationSplit,
        between_batches: Callable[[], None],
        ranks: Ranks,
    ) -> tuple[Tensor, Tensor]:
        sides = split.positive, split.negative.reshape(2, -1)
        positive, negative = self._score_sides(score, sides, between_batches, ranks)
        return positive, negative.reshape(split.negative.shape[1:])

    def _rank(
        self,
        score: Callable[[Tensor], Tensor],
        split: EvaluationSplit,
        between_batches: Callable[[], None],
        ranks: Ranks,
    ) -> Places:
        device = split.positive.device

        def scores(pairs: Tensor) -> Tensor:
            return self._score(score, pairs.to(device), between_batches, ranks)

        return rank_links(scores, split, queries(split, self.queries)[0])

    def _warn_of_ties(self, positive: Tensor, negative: Tensor) -> None:
        """Say once when all pairs score the same: a metric then measures nothing."""
        lowest, highest = torch.cat([positive.flatten(), negative.flatten()]).aminmax()
        if lowest == highest and not self._warned:
            self._warned = True
            log.warning(
                "every pair has the score %g: all tie, and the metrics say nothing", float(lowest)
            )

    def _score_sides(
        self,
        score: Callable[[Tensor], Tensor],
        sides: Sequence[Tensor],
        between_batches: Callable[[], None],
        ranks: Ranks,
    ) -> Sequence[Tensor]:
        """The scores of positives and of negatives."""
        if self.company == "apart":
            return [self._score(score, pairs, between_batches, ranks) for pairs in sides]
        pairs = torch.cat(list(sides), dim=1)
        order = torch.randperm(pairs.size(1), generator=torch.Generator().manual_seed(0))
        mixed = self._score(score, pairs[:, order.to(pairs.device)], between_batches, ranks)
        scores = torch.empty_like(mixed)
        scores[order] = mixed
        return scores.split([side.size(1) for side in sides])

    def _score(
        self,
        score: Callable[[Tensor], Tensor],
        pairs: Tensor,
        between_batches: Callable[[], None],
        ranks: Ranks,
    ) -> Tensor:
        batches = pairs.split(self.batch_size, dim=1)
        scores = [torch.zeros(0)] * len(batches)
        for first in range(0, len(batches), ranks.size):
            between_batches()
            if first + ranks.rank < len(batches):
                scores[first + ranks.rank] = score(batches[first + ranks.rank])
        return ranks.gather(scores, [batch.size(1) for batch in batches]).cpu()
