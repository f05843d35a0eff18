"""Metrics by their short names."""

from __future__ import annotations

from collections.abc import Callable

from runner.config import metric_names
from runner.errors import RunnerError
from runner.training.metrics import AUC, MRR, AveragePrecision, HitsAtK, Metric
from runner.training.node_metrics import NDCGAtK, NodeMRR, PrecisionAtK, RecallAtK

_PLAIN: dict[str, Callable[[], Metric]] = {
    "mrr": MRR,
    "auc": AUC,
    "ap": AveragePrecision,
    "node_mrr": NodeMRR,
}
_AT_K: dict[str, Callable[..., Metric]] = {
    "hits": HitsAtK,
    "precision": PrecisionAtK,
    "recall": RecallAtK,
    "ndcg": NDCGAtK,
}


def parse_metric(name: str | Metric) -> Metric:
    """The metric of a short name (:mod:`runner.config.metric_names`); a metric as it is.

    Raises:
        RunnerError: if there is no such metric.
    """
    if isinstance(name, Metric):
        return name
    if not metric_names.is_name(str(name)):
        raise RunnerError(
            f"protocol.metrics: {name} is no known metric; use {metric_names.IN_WORDS}, or a node "
            "with the _target_ of a runner.training.metrics.Metric"
        )
    kind, _, k = str(name).partition("@")
    return _AT_K[kind](k=int(k)) if k else _PLAIN[kind]()
