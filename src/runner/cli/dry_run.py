"""`run.dry=true`: what a run would build, without building more than the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from runner.config.published import Origin
from runner.config.schema import RunConfig
from runner.data.link_data import LinkData
from runner.data.sizes import in_words, recall, sizes_of
from runner.data.validation_share import judged_splits
from runner.experiment.build import build, build_maker, build_model, load_data
from runner.experiment.checks import check_asked, check_fit, check_parts, check_split
from runner.training.evaluator import Evaluator
from runner.training.objective import Objective


def describe(config: Mapping[str, Any], origins: Sequence[Origin], console: Console) -> None:
    """Print the composed tree, the run graph, the sizes, and where every tuned value came from.

    Raises:
        RunnerError: as the run would, where its split or its model is refused.
    """
    run_graph = _run_graph(config)
    console.rule("config", align="left")
    console.print(yaml.safe_dump(dict(config), sort_keys=False), markup=False, highlight=False)
    console.rule("run graph", align="left")
    console.print(run_graph)
    console.rule("tuned values", align="left")
    console.print(_origins_table(origins))


def _run_graph(config: Mapping[str, Any]) -> Tree:
    dataset, model = config["dataset"], config["model"]
    tree = Tree(f"run: {config['run']['model']} on {config['run']['dataset']}")
    branch = tree.add(f"dataset: {dataset['source']['_target_']}")
    data = _read(config)
    for note in () if data is None else (*data.notes, in_words(data)):
        branch.add(Text(note))
    recalled = recall(dataset["source"], config["run"]["cache"]) if data is None else sizes_of(data)
    if recalled is None:
        branch.add("sizes are known after the first run on it")
    else:
        branch.add(", ".join(f"{name} {value}" for name, value in recalled.items()))
    branch.add(f"training negatives: {config['negatives']['_target_']}")
    tree.add(f"sampler: {config['sampler']['_target_']}")
    tree.add(f"objective: {config['objective']['_target_']}")
    tree.add(f"encoding: {config['encoding']['_target_']}")
    encoder = tree.add(f"encoder: {config['encoder']['_target_']}")
    _add_parts(encoder, config["encoder"])
    predictor = tree.add(f"predictor: {model['_target_']}")
    _add_parts(predictor, model)
    tree.add(f"evaluator: {config['evaluator']['_target_']}")
    tree.add(f"tracker: {config['tracker']['_target_']}")
    tree.add(_parameters(config, data, recalled))
    return tree


def _add_parts(branch: Tree, component: Mapping[str, Any]) -> None:
    """Below a component, the parts that it is built of; of a class its path."""
    for key, node in component.items():
        if isinstance(node, dict) and "_target_" in node:
            branch.add(f"{key}: {node.get('path') or node['_target_']}")


def _read(config: Mapping[str, Any]) -> LinkData | None:
    """A user's own file; of other data the source is built alone, with its split."""
    run = RunConfig.read(config)
    if run.dataset.path is None:
        build_maker("dataset.source", run.dataset.source)
        return None
    data = load_data(run)
    check_split(run, data, keep=False)
    return data


def _parameters(
    config: Mapping[str, Any], data: LinkData | None, sizes: Mapping[str, Any] | None
) -> str:
    """How many there are, of a model that fits the data."""
    sizes = _input_sizes(config, sizes)
    known = sizes or {"num_features": 1, "num_categories": None, "nodes": 1}
    run = RunConfig.read(config)
    num_categories = known["num_categories"]
    model = build_model(
        run,
        num_features=known["num_features"],
        num_categories=num_categories,
        num_nodes=known["nodes"],
    )
    if data is not None:
        evaluator: Evaluator = build("evaluator", run.evaluator)
        objective: Objective = build("objective", run.objective)
        evaluator.prepare(judged_splits(data, objective.validation_share, run.seeds.split)[0])
        check_asked(run, objective, evaluator)
        check_parts(run, model, objective, evaluator)
        features = None if _starts_from_embeddings(config) else data.features
        check_fit(run.run.model, model, data, num_categories, features)
        objective.check(model, data)
    predictor = sum(parameter.numel() for parameter in model.predictor.parameters())
    if sizes is None:
        return f"parameters: predictor {predictor:,}, encoder known with the sizes of its input"
    encoder = sum(parameter.numel() for parameter in model.encoder.parameters())
    return f"parameters: {encoder + predictor:,} (encoder {encoder:,}, predictor {predictor:,})"


def _input_sizes(
    config: Mapping[str, Any], sizes: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Of what the encoder is given: the dataset's features, or the embeddings of another run."""
    if not _starts_from_embeddings(config):
        return sizes
    try:
        source = yaml.safe_load((Path(config["train"]["init_from"]) / "config.yaml").read_text())
        known = {"num_features": source["encoder"]["hidden"], "num_categories": None}
        return None if sizes is None else {**sizes, **known}
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None


def _starts_from_embeddings(config: Mapping[str, Any]) -> bool:
    train = config["train"]
    return train["init_from"] is not None and train["init_mode"] == "embeddings"


def _origins_table(origins: Sequence[Origin]) -> Table:
    table = Table("key", "value", "from", box=None, pad_edge=False)
    for origin in origins:
        table.add_row(origin.key, str(origin.value), origin.source)
    return table
