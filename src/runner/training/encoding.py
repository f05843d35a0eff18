"""What the encoder runs on in a training step: the whole graph, or a batch's receptive field."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from runner.errors import RunnerError
from runner.keys import FanOuts, PositiveInt
from runner.models.link_model import LinkModel
from runner.models.predictor import View
from runner.models.reweighting import Reweighting
from runner.ops.bipartite import Bipartite
from runner.ops.csr import Graph
from runner.ops.message_weights import MessageWeights
from runner.ops.receptive_field import ReceptiveField, receptive_field
from runner.ops.sparse_rows import SparseRows
from runner.ops.stage import stage
from runner.training.samplers import Batch
from runner.training.task import Inputs

log = logging.getLogger(__name__)

_CHEAPER = 0.9  # share of the rows read, since a receptive field has to be found first
_LARGE = 1_000_000  # entries from which on counting those of a batch is worth its time


@dataclass(frozen=True, eq=False)
class Encoded:
    """What a step computes on, with the numbers that nodes have there.

    Shapes:
        features: (n, F) floating point or (n,) int64. positives, negatives: (2, B) int64. weight:
        (E,) of the entries of the graph that is encoded, or of these and the nodes, or None.
    """

    features: Tensor | SparseRows
    layers: Graph | Sequence[Graph | Bipartite]
    view: View
    positives: Tensor
    negatives: Tensor
    weight: Tensor | MessageWeights | None = None


class Encoding:
    """Decides what the encoder runs on."""

    def prepare(self, model: LinkModel, graph: Graph, targets: Tensor, batch_size: int) -> None:
        """Check that the model can be trained so, and say what it costs.

        Args:
            graph: of the training links.
            targets: (2, M) int64, of which ``batch_size`` are in a step.
        """

    def view(self, inputs: Inputs, batch: Batch) -> Encoded:
        """What a step on this batch computes on."""
        raise NotImplementedError


class FullEncoding(Encoding):
    """The encoder runs on the whole graph, once a batch."""

    _reweighting: Reweighting | None = None

    def prepare(self, model: LinkModel, graph: Graph, targets: Tensor, batch_size: int) -> None:
        self._reweighting = model.reweighting
        hops = _hops(model)
        ends = 4 * batch_size
        if graph.num_entries >= _LARGE and ends < graph.num_nodes and hops is not None:
            _survey(hops, graph, targets, batch_size)

    def view(self, inputs: Inputs, batch: Batch) -> Encoded:
        view = View(batch.graph, batch.whole, batch.hidden, structure=inputs.structure)
        weight = self._weights(inputs, batch)
        return Encoded(inputs.features, batch.graph, view, batch.positives, batch.negatives, weight)

    def _weights(self, inputs: Inputs, batch: Batch) -> Tensor | MessageWeights | None:
        """Those of the messages that the batch may see."""
        given = inputs.weight
        if self._reweighting is not None:
            if given is not None:
                raise RunnerError(
                    "train.reweight: this objective weighs the edges itself; leave one of them out"
                )
            weights = self._reweighting.weights(batch.whole)
            return weights if batch.hidden is None else weights.keep(batch.kept)
        return given if given is None or batch.hidden is None else given[batch.kept]


class LocalEncoding(Encoding):
    """The encoder runs on the batch's receptive field alone; an evaluation on the whole graph.

    Without ``fan_outs`` the result is that of the whole graph, to rounding, but for the draws of
    dropout, which are others of the same distribution.

    Args:
        fan_outs: neighbours drawn for a node in every layer of the encoder, the one next to the
            targets first, or a number for all: an approximation (Hamilton et al. 2017). The
            neighbours that the predictor reads are all there. None: nothing is left out.
    """

    def __init__(self, *, fan_outs: PositiveInt | FanOuts | None) -> None:
        self._given = fan_outs
        self._fan_outs: list[int] | None = None
        self._hops = (0, 0)
        self._kept = torch.empty(0, dtype=torch.bool)

    def prepare(self, model: LinkModel, graph: Graph, targets: Tensor, batch_size: int) -> None:
        """See :class:`Encoding`.

        Raises:
            RunnerError: if it is not known how far encoder or predictor see, or there is not one
                fan-out a layer.
        """
        if model.reweighting is not None:
            raise RunnerError(
                "encoding=local: train.reweight weighs the messages of the whole graph; take "
                "encoding=full"
            )
        hops = _hops(model)
        if hops is None:
            raise RunnerError(
                "encoding=local: it is not known how many steps this encoder sees (`layers`), or "
                "this predictor (`reach`), so that no part of the graph is known to be enough; "
                "take encoding=full"
            )
        layers, given = hops[1], self._given
        self._fan_outs = [given] * layers if isinstance(given, int) else given
        if self._fan_outs is not None and len(self._fan_outs) != layers:
            raise RunnerError(
                f"encoding.fan_outs={given}: one number for each layer of the encoder, the one "
                f"next to the targets first, and encoder.layers={layers}; or a number for all"
            )
        self._hops = hops
        self._kept = torch.ones_like(graph.col, dtype=torch.bool)
        _survey(hops, graph, targets, batch_size, self._fan_outs)

    def view(self, inputs: Inputs, batch: Batch) -> Encoded:
        if inputs.weight is not None:
            raise RunnerError(
                "encoding=local: this objective weighs the edges of the whole graph; take "
                "encoding=full"
            )
        features = inputs.features
        with stage("receptive field"):
            field = self._field(batch)
            nodes = field.nodes.to(features.device)
            rows = features.take(nodes) if isinstance(features, SparseRows) else features[nodes]
            local = field.local(torch.cat([batch.positives, batch.negatives], dim=1))
            positives, negatives = local.tensor_split([batch.positives.size(1)], dim=1)
        read = field.nodes[: field.graph.num_nodes]
        view = View(field.graph, batch.whole, batch.hidden, read, inputs.structure)
        return Encoded(rows, field.layers, view, positives, negatives)

    def _field(self, batch: Batch) -> ReceptiveField:
        reach, layers = self._hops
        find = partial(
            receptive_field,
            batch.whole,
            torch.cat([batch.positives, batch.negatives], dim=1),
            reach=reach,
            layers=layers,
            fan_outs=self._fan_outs,
        )
        if batch.hidden is None:
            return find()
        self._kept[batch.hidden] = False
        try:
            return find(kept=self._kept)
        finally:  # the marks are as large as the graph: made once, and put back
            self._kept[batch.hidden] = True


def _hops(model: LinkModel) -> tuple[int, int] | None:
    """Steps that the predictor and the encoder see, None where they do not say."""
    reach, layers = model.predictor.reach, model.encoder.layers
    return None if reach is None or layers is None else (reach, layers)


def _survey(
    hops: tuple[int, int],
    graph: Graph,
    targets: Tensor,
    batch_size: int,
    fan_outs: list[int] | None = None,
) -> None:
    """Say how much the encoder reads in a step, of the whole graph and of a batch's field.

    Of one batch with random pairs for negatives, drawn apart from everything else.
    """
    reach, layers = hops
    if not layers:
        return
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(targets.size(1), (batch_size,), generator=generator)
    negatives = torch.randint(graph.num_nodes, (2, batch_size), generator=generator)
    drawn = targets[:, chosen.to(targets.device)].to(graph.col.device)
    pairs = torch.cat([drawn, negatives.to(graph.col.device)], dim=1)
    with torch.random.fork_rng(devices=[]):  # it draws on the CPU, wherever the graph is
        field = receptive_field(graph, pairs, reach=reach, layers=layers, fan_outs=fan_outs)
    whole = layers * (graph.num_entries + graph.num_nodes)
    share = field.messages / whole
    local = f"encoding={'local' if fan_outs is None else 'sampled'}"
    log.info(
        "a step's receptive field has %d of %d nodes, and the encoder reads %d rows there, %.0f %% "
        "of the %d of the whole graph: %s is cheaper than %s",
        field.nodes.numel(),
        graph.num_nodes,
        field.messages,
        100 * share,
        whole,
        *((local, "encoding=full") if share < _CHEAPER else ("encoding=full", local)),
    )
