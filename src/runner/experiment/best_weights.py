"""The weights of the best epoch, for what is computed once at the end of a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from runner.errors import RunnerError
from runner.models.link_model import LinkModel
from runner.records import checkpoint
from runner.records.folder import RunFolder

log = logging.getLogger(__name__)


@contextmanager
def best_weights(model: LinkModel, folder: RunFolder, device: torch.device) -> Iterator[None]:
    """Inside, the model has them, and evaluates; if they are lost, those of the last epoch.

    Weights, generators and mode are restored at the end.
    """
    before = {
        name: value.clone() if isinstance(value, Tensor) else value
        for name, value in model.state_dict().items()
    }
    training = model.training
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            _load(model, folder)
            model.eval()
            yield
        finally:
            model.load_state_dict(before)
            model.train(training)


def _load(model: LinkModel, folder: RunFolder) -> None:
    path = folder.checkpoints / "best.pt"
    try:
        model.load_state_dict(checkpoint.read(path)["model"])
    except (RunnerError, RuntimeError):
        log.warning("%s cannot be read; what follows is of the last epoch's weights", path)
