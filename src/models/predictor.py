"""The predictor: embeddings and what a batch may see of the graph in, a logit for each pair out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from runner.models.explanation import COMMON, Explanation, part
from runner.ops.csr import Graph
from runner.ops.overlap import check_pairs, common_neighbours
from runner.ops.shortest_path import path_length


@dataclass(frozen=True, eq=False)
class View:
    """What a predictor sees beside the embeddings.

    Attributes:
        graph: the batch's graph, without its hidden links; under local encoding the part within
            the predictor's reach, with node ids of its own.
        whole: the graph that the batch's is a part of; in evaluation the same.
        hidden: (k,) int64, entries of ``whole`` that the batch may not see; None for none.
        nodes: (n,) int64, under local encoding the ids in ``whole`` of the nodes of ``graph``;
            None where they are the same.
        structure: what :meth:`Predictor.structure` has computed of ``whole``.
    """

    graph: Graph
    whole: Graph
    hidden: Tensor | None = None
    nodes: Tensor | None = None
    structure: Any = None

    def degree(self) -> Tensor:
        """Degrees, (n,) int64, of the nodes of ``graph``, links beyond a local part included."""
        if self.nodes is None:
            return self.graph.degree()
        degree = self.whole.degree()
        if self.hidden is not None:
            hidden = torch.searchsorted(self.whole.rowptr, self.hidden.unique(), right=True) - 1
            degree = degree - torch.bincount(hidden, minlength=degree.numel())
        return degree[self.nodes]

    @classmethod
    def of(cls, graph: Graph | View, structure: Any = None) -> View:
        """The view of a whole graph; a view as it is."""
        return graph if isinstance(graph, View) else cls(graph, graph, structure=structure)


class Predictor(nn.Module):
    """Scores pairs of nodes. A subclass with ``__init__`` and ``forward`` is complete.

    It is called as ``predictor(h, view, pairs)``; a plain graph in the view's place stands for the
    view of a whole graph.
    """

    reach: int | None = None
    """Steps from a pair within which embeddings are read, and the links among those nodes.

    None where that is not known: then there is no local encoding."""

    reads_embeddings: bool = True
    """Whether it reads embeddings; a run of one that does not has no encoder."""

    normalises_pairs: bool = False
    """Whether the score of a pair depends on the pairs that are scored with it."""

    column: ClassVar[str | None] = None
    """The dataset's column that it takes before the common one: ``tuned_for.<column>``."""

    common_neighbours: ClassVar[Literal["none", "term", "all"]] = "none"
    """What of a score comes from common neighbours, which no pair across a bipartite graph has."""

    product_of_ends: ClassVar[bool] = False
    """Whether a score is the inner product of the pair's embeddings and nothing else."""

    published_with: ClassVar[Mapping[str, Any]] = {}
    """Arguments with which the published figures of it were measured; with others none is its."""

    of_finished_runs: ClassVar[bool] = False
    """Whether it scores by what finished runs gave the pairs of validation and test."""

    @property
    def reads(self) -> Sequence[str]:
        """Digests of the files that a structure is made of, beside the graph; () for none."""
        return ()

    @property
    def trainable(self) -> bool:
        """Whether there is anything to train."""
        return any(True for _ in self.parameters())

    def __call__(self, h: Tensor, view: View | Graph, pairs: Tensor) -> Tensor:
        return super().__call__(h, View.of(view), pairs)

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B) int64, from embeddings (N, H)."""
        raise NotImplementedError

    def calls(self, positives: Tensor, negatives: Tensor) -> Sequence[Tensor]:
        """The pairs of a training step, (2, B) each, in the calls that score them: here one.

        In turn they hold all positives, then all negatives.
        """
        return [torch.cat([positives, negatives], dim=1)]

    def scorer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Tensor]:
        """What gives the logits, (B,), of pairs, (2, B), for many batches of one graph in turn."""
        seen = View.of(view)
        return lambda pairs: self(h, seen, pairs)

    def fast_scorer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Tensor]:
        """As :meth:`scorer`, up to rounding, for very many pairs; evaluation keeps its bits."""
        return self.scorer(h, view)

    def structure(self, graph: Graph) -> Any:
        """What is computed once of a graph: tensors, in dicts, lists or tuples; None for nothing.

        It is computed for the graphs of training, validation and test, shared by the processes of
        a run, and kept for a resume. It knows nothing of a batch's hidden links: the view tells
        them.
        """
        return None

    def prepare(self, graph: Graph, links: Tensor) -> None:
        """Fix what the training data decide, as the size of a weight; checkpoints have to hold it.

        Called once, before the first step and before the weights of a checkpoint are loaded.

        Args:
            graph: of training.
            links: (2, M) int64, the targets of training.
        """

    def loss_terms(self) -> Mapping[str, Tensor]:
        """Further terms of the loss of the pairs just scored, by name, scalars."""
        return {}

    def further_logits(self) -> Sequence[Tensor]:
        """Logits, (B,) each, of the pairs just scored, that are learned beside their scores.

        Asked for once after each scoring in training, so that a predictor need not keep them.
        """
        return ()

    def distributions(
        self, h: Tensor, view: View | Graph, pairs: Tensor, *, most: int
    ) -> Mapping[str, Tensor]:
        """Values that explain the scores of ``pairs``, shown as histograms at the end of a run.

        Args:
            most: values at most under each name, (n,).
        """
        return {}

    def explain(self, h: Tensor, view: View | Graph, pair: Tensor) -> Explanation:
        """Why ``pair``, (2,) or (2, 1) int64, has its score; see :meth:`explainer`."""
        return self.explainer(h, view)(pair)

    def explainer(self, h: Tensor, view: View | Graph) -> Callable[[Tensor], Explanation]:
        """What explains the scores of pairs, (2,) or (2, 1) int64, of one graph in turn.

        Nodes of an explanation are those of ``view.graph``.

        Raises:
            RuntimeError: in training mode, where a score has chance in it.
            ValueError: of the function returned, if it is not given one pair of the graph.
        """
        if self.training:
            raise RuntimeError("an explanation is that of a score in evaluation: call eval() first")
        seen = View.of(view)
        with torch.no_grad():
            why = self.why(h, seen)

        @torch.no_grad()
        def explain(pair: Tensor) -> Explanation:
            pairs = pair.unsqueeze(1) if pair.dim() == 1 else pair
            check_pairs(seen.graph, pairs)
            if pairs.size(1) != 1:
                raise ValueError(f"one pair is explained at a time, got {pairs.size(1)} pairs")
            return why(pairs)

        return explain

    def why(self, h: Tensor, view: View) -> Callable[[Tensor], Explanation]:
        """What :meth:`explainer` does, for pairs (2, 1), in evaluation and without gradient.

        Here the common neighbours, and the length of the shortest path.
        """
        score, graph = self.scorer(h, view), view.graph

        def explain(pair: Tensor) -> Explanation:
            facts = {"shortest path": path_length(graph, *pair.flatten().tolist())}
            common = part(graph, COMMON, common_neighbours(graph, pair).node)
            return Explanation(float(score(pair)), (common,), facts)

        return explain

    def names_elsewhere(self, name: str) -> tuple[str, ...]:
        """Under which names a related predictor may have the weight of this name."""
        return (name,)

    def may_start_alone(self, name: str) -> bool:
        """Whether a weight may keep its own start where a run begins from another's weights."""
        return False


class NoPredictor(Predictor):
    """No predictor: for a pretraining, whose objective learns the encoder alone."""

    reach = 0

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        raise RuntimeError("this run has no predictor, and scores no pairs")
