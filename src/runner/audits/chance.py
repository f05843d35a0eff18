"""Scores with the same chance, and without a trace in the run's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from runner.models.link_model import LinkModel


@contextmanager
def same_chance(model: LinkModel) -> Iterator[None]:
    """Restore torch's generators, and those of the model's parts, at the end."""
    devices = {parameter.device for parameter in model.parameters()}
    states = {k: v for k, v in model.state_dict().items() if k.endswith("_extra_state")}
    with torch.random.fork_rng([device for device in devices if device.type == "cuda"]):
        try:
            yield
        finally:
            model.load_state_dict(states, strict=False)
