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
from runner.data.sizes import in_words, recall, sizes_of
from runner.experiment.build import build_model, load_data


def describe(config: Mapping[str, Any], origins: Sequence[Origin], console: Console) -> None:
    """Print the composed tree, the run graph, the sizes, and where every tuned value came from."""
    console.rule("config", align="left")
    console.print(yaml.safe_dump(dict(config), sort_keys=False), markup=False, highlight=False)
    console.rule("run graph", align="left")
    console.print(_run_graph(config))
    console.rule("tuned values", align="left")
    console.print(_origins_table(origins))


def _run_graph(config: Mapping[str, Any]) -> Tree:
    dataset, model = config["dataset"], config["model"]
    tree = Tree(f"run: {config['run']['model']} on {config['run']['dataset']}")
    data = tree.add(f"dataset: {dataset['source']['_target_']}")
    sizes = _read_sizes(config, data)
    if sizes is None:
        data.add("sizes are known after the first run on it")
    else:
        data.add(", ".join(f"{name} {value}" for name, value in sizes.items()))
    data.add(f"training negatives: {config['negatives']['_target_']}")
    tree.add(f"sampler: {config['sampler']['_target_']}")
    tree.add(f"objective: {config['objective']['_target_']}")
    tree.add(f"encoding: {config['encoding']['_target_']}")
    encoder = tree.add(f"encoder: {config['encoder']['_target_']}")
    _add_parts(encoder, config["encoder"])
    predictor = tree.add(f"predictor: {model['_target_']}")
    _add_parts(predictor, model)
    tree.add(f"evaluator: {config['evaluator']['_target_']}")
    tree.add(f"tracker: {config['tracker']['_target_']}")
    tree.add(_parameters(config, sizes))
    return tree


def _add_parts(branch: Tree, component: Mapping[str, Any]) -> None:
    """Below a component, the parts that it is built of; of a class its path."""
    for key, node in component.items():
        if isinstance(node, dict) and "_target_" in node:
            branch.add(f"{key}: {node.get('path') or node['_target_']}")


def _read_sizes(config: Mapping[str, Any], branch: Tree) -> Mapping[str, Any] | None:
    """The sizes of the data: of a user's file by reading it, else as they are remembered."""
    if config["dataset"].get("path") is None:
        return recall(config["dataset"]["source"], config["run"]["cache"])
    data = load_data(RunConfig.read(config))
    for note in data.notes:
        branch.add(Text(note))
    branch.add(in_words(data))
    return sizes_of(data)


def _parameters(config: Mapping[str, Any], sizes: Mapping[str, Any] | None) -> str:
    sizes = _input_sizes(config, sizes)
    known = sizes or {"num_features": 1, "num_categories": None}
    model = build_model(
        RunConfig.read(config),
        num_features=known["num_features"],
        num_categories=known["num_categories"],
    )
    predictor = sum(parameter.numel() for parameter in model.predictor.parameters())
    if sizes is None:
        return f"parameters: predictor {predictor:,}, encoder known with the sizes of its input"
    encoder = sum(parameter.numel() for parameter in model.encoder.parameters())
    return f"parameters: {encoder + predictor:,} (encoder {encoder:,}, predictor {predictor:,})"


def _input_sizes(
    config: Mapping[str, Any], sizes: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Of what the encoder is given: the dataset's features, or the embeddings of another run."""
    train = config["train"]
    if train["init_from"] is None or train["init_mode"] != "embeddings":
        return sizes
    try:
        source = yaml.safe_load((Path(train["init_from"]) / "config.yaml").read_text())
        return {"num_features": source["encoder"]["hidden"], "num_categories": None}
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None


def _origins_table(origins: Sequence[Origin]) -> Table:
    table = Table("key", "value", "from", box=None, pad_edge=False)
    for origin in origins:
        table.add_row(origin.key, str(origin.value), origin.source)
    return table
