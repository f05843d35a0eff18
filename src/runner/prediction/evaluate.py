"""A trained run evaluated again: with other metrics, other negatives, or another split."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf
from torch import Tensor

from runner.audits.node_report import reporter, write_node_report
from runner.config.schema import RunConfig
from runner.config.shipped import compose_shipped
from runner.config.validate import check
from runner.data.audit import audit, enforce, link_keys
from runner.data.link_data import LinkData
from runner.data.validation_share import judged_splits
from runner.errors import RunnerError
from runner.experiment.build import build, load_data
from runner.experiment.graphs import Graphs, build_graphs
from runner.prediction.scorer import Scorer
from runner.prediction.trained import Trained
from runner.training.evaluator import Evaluator, NoEvaluator
from runner.training.objective import Objective
from runner.training.task import Inputs

log = logging.getLogger(__name__)


def evaluate(
    trained: Trained,
    *,
    protocol: str | None = None,
    keys: Mapping[str, Any] | None = None,
    metrics: Sequence[Any] | None = None,
) -> dict[str, dict[str, float]]:
    """The metrics of validation and test, by name; by default those of the run's summary.

    Args:
        protocol: name of another one, as shipped; None: the run's own.
        keys: of the protocol, dotted, with other values.
        metrics: as `protocol.metrics`; None: those of the protocol.

    Raises:
        RunnerError: if there is no such protocol, key or metric, the split scores links that the
            run has been trained on, or it leaks in itself.
    """
    if trained.config.train.all_links:
        raise RunnerError(
            f"{trained.folder.path}: this run was trained on all links, and none is left to "
            "evaluate on; evaluate the run that it was refitted from"
        )
    config = _judged_by(trained, protocol, dict(keys or {}), metrics)
    problems = check(config)
    if problems:
        raise RunnerError("\n  ".join(["the config has errors:", *problems]))
    settings = RunConfig.read(config)
    evaluator: Evaluator = build("evaluator", settings.evaluator)
    objective: Objective = build("objective", settings.objective)
    data, graphs = _data(trained, settings)
    splits, _ = judged_splits(data, objective.validation_share, settings.seeds.split)
    evaluator.prepare(splits)
    if not evaluator.names:
        raise RunnerError(
            f"{trained.folder.path}: this run has no metrics (evaluator=none); start one with "
            f"train=none train.init_from={trained.folder.path} and its model and dataset"
        )
    found = {}
    for (name, split), graph in zip(splits.items(), graphs[1:], strict=True):
        view = Scorer(trained, graph).view
        inputs = objective.inputs(
            trained.epoch, Inputs(trained.features, view.graph, view.structure)
        )
        found[name] = evaluator.evaluate(trained.model, inputs, split.to(trained.device))
    return found


def report_nodes(trained: Trained) -> None:
    """Write nodes.csv into the folder of the run (:mod:`runner.audits.node_report`).

    Raises:
        RunnerError: if the run has no links to evaluate on.
    """
    config, model = trained.config, trained.model
    evaluator: Evaluator = build("evaluator", config.evaluator)
    if config.train.all_links or isinstance(evaluator, NoEvaluator):
        raise RunnerError(
            f"{trained.folder.path}: this run is not evaluated (evaluator=none or "
            "train.all_links=true), and has no links to rank; name another run"
        )
    objective: Objective = build("objective", config.objective)
    view = Scorer(trained, trained.graphs[2]).view
    inputs = objective.inputs(trained.epoch, Inputs(trained.features, view.graph, view.structure))
    judge = reporter(evaluator, config.train.eval_batch_size)
    places = judge.rank_nodes(model, inputs, trained.data.judged["test"].to(trained.device))
    weights = model.message_weights(trained.graphs[0])
    write_node_report(
        trained.folder.path, trained.data, trained.graphs[0], places, judge.node_metrics, weights
    )


def _judged_by(
    trained: Trained,
    protocol: str | None,
    keys: Mapping[str, Any],
    metrics: Sequence[Any] | None,
) -> dict[str, Any]:
    """The run's config with what else judges it."""
    config = copy.deepcopy(trained.config.model_dump())
    if protocol is not None:
        config["protocol"] = _compose_protocol(trained, protocol)
        config["run"]["protocol"] = protocol
    for key, value in keys.items():
        _set(config["protocol"], key, value)
    if "split" in config["dataset"]["source"]:
        config["dataset"]["source"]["split"] = config["protocol"]["split"]
    evaluator = config["evaluator"]
    if metrics is not None:
        if "metrics" not in evaluator:
            raise RunnerError(
                f"metrics: the evaluator of this run, {evaluator['_target_']}, takes none"
            )
        config["protocol"]["metrics"] = list(metrics)
    if protocol is not None or metrics is not None:
        asked = {"metrics": config["protocol"]["metrics"], "select": None}  # nothing is selected
        config["protocol"]["select"] = None
        evaluator.update({key: value for key, value in asked.items() if key in evaluator})
    return config


def _compose_protocol(trained: Trained, name: str) -> dict[str, Any]:
    """A shipped protocol for the run's dataset, with the run's seeds."""
    dataset = trained.config.run.dataset
    if trained.config.dataset.own:  # by its own name, and not by that of the option
        typed = dict(line.partition("=")[::2] for line in trained.folder.overrides())
        dataset = typed.get("dataset", "edges")
    try:
        config = compose_shipped([f"dataset={dataset}", f"protocol={name}"])
    except MissingConfigException as error:
        known = f"; use {', '.join(sorted({*error.options} - {'base'}))}" if error.options else ""
        raise RunnerError(f"{error.missing_cfg_file}: there is no such option{known}") from None
    OmegaConf.set_struct(config, False)
    OmegaConf.update(config, "seed", trained.config.seed)
    OmegaConf.update(config, "seeds", trained.config.seeds.model_dump())
    return OmegaConf.to_container(config.protocol, resolve=True)  # type: ignore[return-value]


def _set(protocol: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    node: Any = protocol
    for part in parents:
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict) or last not in node:
        raise RunnerError(f"protocol.{key}: this protocol has no such key")
    node[last] = value


def _data(trained: Trained, settings: RunConfig) -> tuple[LinkData, Graphs]:
    """The data as they are split now, and their graphs: those of the run where nothing differs."""
    before, now = trained.config, settings
    edges = now.protocol.validation_edges_in_test_graph
    data = trained.data
    drawn_anew = now.protocol.negatives != before.protocol.negatives
    if now.dataset.source != before.dataset.source or drawn_anew:
        data = load_data(now)
        if data.graph_fingerprint != trained.data.graph_fingerprint:
            raise RunnerError(
                f"protocol={now.run.protocol}: with it the dataset has another graph than the run's"
            )
        _refuse_seen(trained.data, data, now.run.protocol)
    elif edges == before.protocol.validation_edges_in_test_graph:
        return data, trained.graphs
    permitted = [*now.protocol.permitted_overlaps, *data.permitted]
    checked = audit(data, cache=Path(now.run.cache))
    for level, line in enforce(checked, official=now.protocol.official_split, permitted=permitted):
        log.log(level, "%s", line)
    return data, build_graphs(data, validation_edges=edges)


def _refuse_seen(run: LinkData, other: LinkData, protocol: str) -> None:
    """Refuse a split that scores training links of the run, but for those that it trains on too."""

    def keys(pairs: Tensor) -> Tensor:
        return link_keys(pairs, run.num_nodes, False)  # message passing sees both directions

    learned, repeated = keys(run.train), keys(other.train)
    parts = {"test": other.test.positive, "validation": other.valid.positive}
    seen = {
        name: int((torch.isin(keys(part), learned) & ~torch.isin(keys(part), repeated)).sum())
        for name, part in parts.items()
    }
    if any(seen.values()):
        counts = " and ".join(
            f"{seen[name]} of its {parts[name].shape[1]} {name} links" for name in parts
        )
        raise RunnerError(
            f"protocol={protocol}: {counts} are training links of this run, which has seen them, "
            f"and its figures would mean nothing; train a run with protocol={protocol}"
        )
