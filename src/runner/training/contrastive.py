"""Contrastive pretraining: each node has to find itself in another corrupted view of the graph."""

from __future__ import annotations

import logging
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.keys import Effect, Positive, PositiveInt, Rates, Width
from runner.models.link_model import LinkModel
from runner.ops.all_products import log_sum_exp_of_products
from runner.ops.csr import Graph
from runner.ops.stage import stage
from runner.training.objective import Objective, Step
from runner.training.views import drop_columns, keep_edges

log = logging.getLogger(__name__)


class Seen(NamedTuple):
    """A view: its graph, and the projections of its nodes, (N, H), of length 1."""

    graph: Graph
    h: Tensor


class Projection(nn.Sequential):
    """Linear, ELU, Linear: what the loss compares in place of the embeddings themselves."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__(nn.Linear(hidden, width), nn.ELU(), nn.Linear(width, hidden))


class Contrastive(Objective):
    """Compares two views of the training graph; a subclass says which, and how.

    Each view drops edges and columns of features, with probabilities that the graph decides.

    Args:
        hidden: width H of the embeddings.
        projection: width of the projection between them and the loss, which no later run takes.
        temperature: what similarities are divided by.
        edge_dropout: mean share of edges that each view drops, before probabilities are cut off.
        column_dropout: the same of columns of features; without features none are dropped.
        directions: of an edge, dropped together, or apart as in the releases.
        most_nodes: a larger graph is refused: a step compares every pair of its nodes.
    """

    scores_pairs = False
    takes_links = False

    def __init__(
        self,
        *,
        hidden: Width,
        projection: Width,
        temperature: Positive,
        edge_dropout: Rates,
        column_dropout: Rates,
        directions: Literal["together", "apart"] = "together",
        most_nodes: Annotated[PositiveInt, Effect.MACHINE] = 50_000,
    ) -> None:
        self.temperature = temperature
        self.rates = tuple(zip(edge_dropout, column_dropout, strict=True))
        self.directions = directions
        self.most_nodes = most_nodes
        self.learned: nn.Module = Projection(hidden, projection)

    def check(self, model: LinkModel, data: LinkData) -> None:
        if not any(True for _ in model.encoder.parameters()):
            raise RunnerError(
                "encoder: this objective learns the encoder, and this one has no weights; give "
                "another encoder"
            )
        if data.num_nodes > self.most_nodes:
            raise RunnerError(
                f"objective.most_nodes={self.most_nodes}: a step compares all pairs of the "
                f"{data.num_nodes} nodes of this graph; raise it, or train from scratch"
            )
        if len(data.new_nodes):
            raise RunnerError(
                f"objective: {len(data.new_nodes)} nodes come after training, and this one learns "
                "from the features of all; give another protocol, or objective=link_prediction"
            )
        if data.num_categories is not None:
            log.info("the nodes have no features: views differ in their edges alone")

    def keep_probabilities(self, rate: float) -> Tensor:
        """Of every entry of the training graph, (E,), for a view that drops edges at a rate."""
        raise NotImplementedError

    def drop_probabilities(self, rate: float) -> Tensor:
        """Of every column of the features, (F,), at a rate."""
        raise NotImplementedError

    def compare(self, one: Seen, two: Seen, step: Step) -> Tensor:
        """The loss of two views, this process's share."""
        raise NotImplementedError

    def loss(self, step: Step) -> Tensor:
        terms: list[Tensor] = []
        one, two = (self._view(step, *rates, terms) for rates in self.rates)
        with stage("predictor"):
            share = self.compare(one, two, step)
        for term in terms:
            share = share + term / step.ranks.size
        return share

    def _view(self, step: Step, edges: float, columns: float, terms: list[Tensor]) -> Seen:
        features, apart = step.seen.features, self.directions == "apart"
        with stage("views"):
            graph = keep_edges(step.batch.whole, self.keep_probabilities(edges), apart=apart)
            if "columns" in self.prepared:
                features = drop_columns(features, self.drop_probabilities(columns))
        with stage("encoder"):
            embeddings = step.model.encode(features, graph)
        terms += step.model.loss_terms()
        step.computed["encoder"] = embeddings
        return Seen(graph, F.normalize(self.learned(embeddings)))


def rows_of(step: Step) -> Tensor:
    """The nodes whose losses are this process's share."""
    nodes = torch.arange(step.batch.whole.num_nodes, device=step.batch.whole.col.device)
    return step.ranks.share(nodes.unsqueeze(0)).squeeze(0)


def info_nce(
    anchors: Tensor,
    others: Tensor,
    temperature: float,
    rows: Tensor,
    *,
    within: bool,
    bonus: Tensor | None = None,
) -> Tensor:
    """Σ_i -log(exp(s_ii) / Σ_j exp(s_ij)), i of ``rows``, a scalar: InfoNCE of two views.

    s_ij = (a_i · o_j + b_i + b_j) / temperature, of which b_i cancels. Similarities are computed in
    blocks of rows: nothing of size (N, N) is ever made.

    Args:
        anchors, others: (N, H), of length 1.
        rows: (k,) int64.
        within: the sum is over the anchors' view too, without the node itself, as in GRACE
            (arXiv 2006.04131).
        bonus: (N,), b; None for zeros.
    """
    x = anchors / temperature
    own = (x * others).sum(dim=1)[rows].sum()
    offset = None
    if bonus is not None:
        offset = bonus / temperature
        own = own + offset[rows].sum()
    if not within:
        return log_sum_exp_of_products(x, others, rows, offset=offset) - own
    keys = torch.cat([others, anchors])
    itself = torch.arange(x.size(0), 2 * x.size(0), device=x.device)
    offset = None if offset is None else offset.repeat(2)
    return log_sum_exp_of_products(x, keys, rows, offset=offset, left_out=itself) - own
