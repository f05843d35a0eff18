"""The weights of the best epoch, for a while, in a model that has trained on."""

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
def best_weights(model: LinkModel, folder: RunFolder, what: str) -> Iterator[int | None]:
    """Inside, the model is in evaluation and has its best weights; those of the last if lost.

    It gives their epoch, None if they are lost. At the end weights, generators and mode are as
    before.

    Args:
        what: the subject of the warning about lost weights, "the media are".
    """
    before = {
        name: value.clone() if isinstance(value, Tensor) else value
        for name, value in model.state_dict().items()
    }
    training = model.training
    devices = {parameter.device for parameter in model.parameters()}
    with torch.random.fork_rng([device for device in devices if device.type == "cuda"]):
        try:
            path, epoch = folder.checkpoints / "best.pt", None
            try:
                content = checkpoint.read(path)
                model.load_state_dict(content["model"])
                epoch = content["state"]["best"]["epoch"]
            except (RunnerError, RuntimeError):
                log.warning("%s cannot be read; %s of the last epoch's weights", path, what)
            model.eval()
            with torch.no_grad():
                yield epoch
        finally:
            model.load_state_dict(before)
            model.train(training)
