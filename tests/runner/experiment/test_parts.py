from __future__ import annotations

import pytest
import torch
from tests.runner.experiment.test_ogb_runs import UNDIRECTED, write
from tests.test_configs import resolved

from runner.config.schema import RunConfig
from runner.experiment.parts import assemble
from runner.machine import hardware
from runner.models.node_embedding import node_embeddings
from runner.training.ranks import ALONE


@pytest.mark.parametrize("place", ["device", "host"])
def test_features_and_embeddings_are_put_where_the_config_says(tmp_path, monkeypatch, place):
    """A device without memory stands for a GPU: on the CPU all places would be one."""
    write(tmp_path, "ogbl-ddi", "target", UNDIRECTED)
    monkeypatch.setattr(hardware, "set_up", lambda **given: torch.device("meta"))
    config = resolved(
        "model=ncn", "dataset=ogbl-ddi", f"dataset.root={tmp_path}", "sampler=plain",
        "encoder.hidden=8", "train.batch_size=16", f"hardware.embeddings={place}",
        f"hardware.features={place}",
    )  # fmt: skip
    parts = assemble(RunConfig.read(config), tmp_path / "run", ALONE)
    (embedding,) = node_embeddings(parts.training.model)
    on_device = place == "device"
    assert embedding.weight.is_meta == parts.training.task.features.is_meta == on_device
    assert (
        next(parts.training.model.predictor.parameters()).is_meta
        and parts.training.task.train_graph.col.is_meta
    )
