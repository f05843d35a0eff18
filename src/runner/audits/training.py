"""Training: which parts of a model see the links that they are to predict."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from runner.audits.chance import same_chance
from runner.audits.scores import SAMPLE, difference, tolerance
from runner.models.predictor import View
from runner.ops.bipartite import Bipartite
from runner.ops.csr import Graph
from runner.ops.nested import move
from runner.training.encoding import Encoded
from runner.training.loop import Training
from runner.training.samplers import Batch


def audit_training(training: Training, *, epoch: int, exact: bool) -> dict[str, Any]:
    """Look for the targets of a batch in what encoder, predictor and structure are given of it.

    The encoder sees a target that stands in a graph of its layers. The predictor sees one in the
    graph of its view, or if its scores change once the whole graph lacks the hidden links; by its
    structure, if they change once that is the structure of a graph without them. It is no failure
    that targets are visible, but that they are although the sampler removes them; a structure is of
    all links of the training graph, as in some releases, and is told alone.

    Args:
        epoch: whose inputs the objective gives.
        exact: see :func:`~runner.audits.scores.tolerance`.
    """
    batch = _first_batch(training)
    inputs = training.objective.inputs(epoch, training.task.train_inputs)
    seen = training.encoding.view(inputs, batch)
    layers = [seen.layers] if isinstance(seen.layers, Graph) else seen.layers
    encoder = training.model.encoder
    in_whole, in_structure = _read_hidden(training, batch, seen, exact=exact)
    visible = {
        "encoder": encoder.layers != 0 and _have_any(layers, seen.positives),
        "predictor": _have_any([seen.view.graph], seen.positives) or in_whole,
        "structure": in_structure,
    }
    removes = training.sampler.removes_targets
    return {
        "passed": not (removes and (visible["encoder"] or visible["predictor"])),
        "targets_visible": ", ".join(name for name, sees in visible.items() if sees) or "no",
        "removal_declared": removes,
    }


def _first_batch(training: Training) -> Batch:
    """The next batch of the run's sampler, whose generators stay as they are.

    An objective that takes no links learns those of the graph: some of them are the targets.
    """
    generators = training.generators
    before = generators.draws()
    try:
        batch = next(training.sampler.epoch())
    finally:
        generators.restore_draws(before)
    if training.objective.takes_links:
        return batch
    return replace(batch, positives=training.sampler.targets[:, :SAMPLE])


def _have_any(graphs: Sequence[Graph | Bipartite], pairs: Tensor) -> bool:
    """Whether a pair, (2, n), stands in one of the graphs, in either direction."""
    both = torch.cat([pairs, pairs.flip(0)], dim=1)
    return any(bool(_stands_in(graph, both).any()) for graph in graphs)


def _stands_in(graph: Graph | Bipartite, pairs: Tensor) -> Tensor:
    if isinstance(graph, Graph):
        return graph.find(pairs) >= 0
    rows = torch.arange(graph.num_nodes, device=graph.col.device).repeat_interleave(graph.degree())
    columns = graph.num_nodes + graph.beyond.numel()
    return torch.isin(pairs[0] * columns + pairs[1], rows * columns + graph.col)


def _read_hidden(
    training: Training, batch: Batch, seen: Encoded, *, exact: bool
) -> tuple[bool, bool]:
    """Whether scores change without the hidden links: in the whole graph, and in the structure."""
    model, pairs, view = training.model, seen.positives[:, :SAMPLE], seen.view
    if batch.hidden is None:
        return False, view.structure is not None and _have_any([batch.whole], batch.positives)
    h = model.encode(seen.features, seen.layers, seen.weight)
    structure = None
    if view.structure is not None:
        structure = move(model.predictor.structure(batch.graph), h.device)
    other: View = replace(view, structure=structure)
    without: View = replace(other, whole=batch.graph, hidden=None)
    scores = []
    for shown in (view, other, without):
        with same_chance(model):
            scores.append(model.score(h, shown, pairs).cpu())
    allowed = tolerance(scores[0], exact=exact)
    of_structure, of_whole = (difference(*two) > allowed for two in itertools.pairwise(scores))
    return of_whole, of_structure
