"""The graphs of the benchmark, each with the published setting of its dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_module
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from torch import Tensor

from runner.config import resolvers
from runner.config.schema import RunConfig
from runner.config.validate import resolve
from runner.data.synthetic import affiliation_edges
from runner.experiment.build import load_data
from runner.ops.csr import Graph

COLLAB_NODES, COLLAB_EDGES = 235_868, 967_632  # of the real ogbl-collab
COLLAB_FEATURES = 128
TOPIC_SIZE = 150
DATASETS = {"cora": "cora", "ogbl-ddi": "ogbl-ddi", "collab-shaped": "ogbl-collab"}
# Published for small batches: measured like the others, with exact counts of a batch's own graph.
LIKE_OTHERS = {
    model: (
        "sampler=target_link_removal", "train.batch_size=65536", "encoder.hidden=256",
        "model.counts=exact",
    )
    for model in ("buddy", "elph")
}  # fmt: skip
LARGE = ("ogbl-ppa", "ogbl-citation2")  # or generated ones of their shapes


@dataclass(frozen=True, eq=False)
class Case:
    """Training links, (2, M), features as the model reads them, and the published setting."""

    edges: Tensor
    num_nodes: int
    features: Tensor
    num_categories: int | None
    kept: Graph | None = None

    def graph(self) -> Graph:
        return self.kept or Graph.from_edges(self.edges, self.num_nodes)


def config(model: str, graph: str, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    """The composed config of `runner model=… dataset=…`."""
    resolvers.register()
    like_others = LIKE_OTHERS.get(model, ()) if graph == "collab-shaped" else ()
    choices = [f"model={model}", f"dataset={DATASETS.get(graph, graph)}", *like_others, *overrides]
    with initialize_config_module("runner.conf", version_base="1.3"):
        composed = compose("config", overrides=choices, return_hydra_config=True)
    HydraConfig.instance().set_config(composed)
    return resolve(OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"]))


def missing(graph: str) -> str | None:
    """Why a graph cannot be measured here; None if it can."""
    folder = {"cora": "planetoid/Cora/raw", "collab-shaped": None}.get(
        graph, f"ogb/{graph.replace('-', '_')}"
    )
    root = Path(os.environ.get("RUNNER_DATA", "data"))
    return None if folder is None or (root / folder).is_dir() else f"no {root / folder}"


def load(
    graph: str, settings: Mapping[str, Any], *, scale: float = 1.0, density: float = 1.0
) -> Case:
    """A real dataset's training part, or the collab-shaped graph, `scale` times its size.

    Args:
        density: how many times its links a node.
    """
    if graph == "collab-shaped":
        return collab_shaped(scale, density)
    data = load_data(RunConfig.read(settings))
    return Case(data.train, data.num_nodes, data.features, data.num_categories, data.train_graph)


@cache
def collab_shaped(scale: float, density: float = 1.0) -> Case:
    """An affiliation graph of ogbl-collab's size, with random features."""
    generator = np.random.default_rng(0)
    nodes, edges = round(COLLAB_NODES * scale), round(COLLAB_EDGES * scale * density)
    topic = generator.permutation(np.arange(nodes) % max(1, nodes // TOPIC_SIZE))
    links = torch.from_numpy(affiliation_edges(topic, edges, generator))
    features = torch.randn(nodes, COLLAB_FEATURES, generator=torch.Generator().manual_seed(0))
    return Case(links, nodes, features, None)
