"""What objectives have computed of the training graph, beside what other data would give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from runner.config.schema import RunConfig
from runner.data.link_data import LinkData
from runner.experiment import warm_start
from runner.experiment.build import build_objective
from runner.experiment.graphs import build_graphs
from runner.experiment.parts import Parts
from runner.ops.sparse_rows import compact
from runner.records import checkpoint
from runner.training.task import Inputs


def is_prepared_alike(parts: Parts, folder: Path, data: LinkData) -> bool:
    """Whether the objectives of a run, and of those it began from, would prepare the same.

    Args:
        folder: of the run.
        data: another dataset.
    """
    graph = build_graphs(data, validation_edges=False)[0]
    for place, settings, kept in _of_runs(folder, parts.config, parts.training.objective.prepared):
        if kept:
            features, _ = warm_start.input_features(place, settings, data, graph)
            anew = build_objective(settings).prepare(Inputs(compact(features), graph))
            if not _are_alike(kept, anew):
                return False
    return True


def _of_runs(
    folder: Path, config: RunConfig, own: Mapping[str, Tensor]
) -> Iterator[tuple[Path, RunConfig, Mapping[str, Tensor]]]:
    """The run, and those before it: folder, config, and what was prepared."""
    yield folder, config, own
    while (folder / "init").is_dir():
        folder = folder / "init"
        config = warm_start.read_source_config(folder, config)
        content = checkpoint.read(folder / "checkpoints" / "best.pt")
        yield folder, config, content["objective"]["prepared"] if "objective" in content else {}


def _are_alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        value.shape == other[name].shape and torch.allclose(value.cpu(), other[name].cpu())
        for name, value in one.items()
    )
