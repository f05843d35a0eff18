"""nodes.csv: of every node its name, its degree, its topological concentration, and its metrics."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from runner.audits.topology import (
    approximate_concentration,
    concentration,
    weighted_concentration,
)
from runner.config.reports import NODES
from runner.data.link_data import LinkData
from runner.ops.csr import Graph
from runner.ops.message_weights import MessageWeights
from runner.storage.files import atomic
from runner.training.evaluator import Evaluator, RankingEvaluator
from runner.training.metrics import Metric
from runner.training.node_ranking import NodeMetric, Places, queries

log = logging.getLogger(__name__)

_METRICS = ("node_mrr", "precision@10", "recall@10", "ndcg@10")


def reporter(evaluator: Evaluator, batch_size: int) -> RankingEvaluator:
    """A run's evaluator where it ranks nodes; else one that does, with metrics of our choice."""
    if isinstance(evaluator, RankingEvaluator) and evaluator.node_metrics:
        return evaluator
    queries = evaluator.queries if isinstance(evaluator, RankingEvaluator) else "auto"
    metrics: list[str | Metric] = list(_METRICS)
    return RankingEvaluator(metrics=metrics, select=None, batch_size=batch_size, queries=queries)


def write_node_report(
    folder: Path,
    data: LinkData,
    graph: Graph,
    places: Places,
    metrics: Sequence[NodeMetric],
    weights: MessageWeights | None = None,
) -> None:
    """Write the file, whole or not at all, in the place of the one with the names alone.

    A cell is empty where a node has no link of the part, and where it was not ranked.

    Args:
        graph: of training, on the CPU.
        places: of the links of the test.
        weights: of the messages along the graph, of a run that re-weights them.
    """
    columns: dict[str, Iterable] = {
        "node": range(data.num_nodes),
        **({} if data.names is None else {"name": data.names}),
        "degree": graph.degree().tolist(),
    }
    for name in ("train", "valid", "test"):
        links = Graph.from_edges(data.links[name], data.num_nodes)
        sought, has_links = (None if name == "train" else links), links.degree() > 0
        columns[f"tc_{name}"] = _format_cells(concentration(graph, sought), has_links)
        columns[f"atc_{name}"] = _format_cells(approximate_concentration(graph, sought), has_links)
    if weights is not None:
        found = weighted_concentration(graph, weights.entries.cpu())
        columns["tc_train_weighted"] = _format_cells(found, graph.degree() > 0)
    ranked = torch.zeros(data.num_nodes, dtype=torch.bool).index_fill_(0, places.nodes, True)
    for metric in metrics:
        values = torch.zeros(data.num_nodes, dtype=torch.float64)
        values[places.nodes] = metric.of_nodes(places)
        columns[f"test/{metric.name}"] = _format_cells(values, ranked)
    with atomic(folder / NODES) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    of = queries(data.judged["test"], "all")[1]
    log.info("%s: ranks %d of the %d nodes with a test link", folder / NODES, len(places.nodes), of)


def _format_cells(values: Tensor, there: Tensor) -> list[str]:
    pairs = zip(values.tolist(), there.tolist(), strict=True)
    return [f"{value:.6g}" if known else "" for value, known in pairs]
