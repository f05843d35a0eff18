"""The audits of a run made later, and kept beside it."""

from __future__ import annotations

import logging
from typing import Any

from runner.audits.chance import same_chance
from runner.errors import RunnerError
from runner.experiment.audited import audit
from runner.experiment.parts import assemble
from runner.prediction.trained import Trained
from runner.records.summary import read_summary
from runner.training.ranks import ALONE

log = logging.getLogger(__name__)

NAME = "audits.json"


def audit_again(trained: Trained) -> dict[str, Any]:
    """The audits of a run's best weights, which `audits.json` keeps for `runner-compare`.

    Raises:
        RunnerError: if the run has no metrics, or is not finished.
    """
    folder = trained.folder
    seconds = read_summary(folder.path)["seconds"]
    parts = assemble(trained.config, folder.path, ALONE)
    model = parts.training.model.eval()
    model.load_state_dict(trained.model.state_dict())
    with same_chance(model):
        found = audit(parts, folder.path, epoch=trained.epoch, seconds=seconds)
    if not found:
        raise RunnerError(f"{folder.path}: this run has no metrics, and no scores to audit")
    try:
        folder.write_json(NAME, {"best_epoch": trained.epoch, "audits": found})
    except OSError as error:
        log.warning("%s cannot be written (%s)", folder.path / NAME, error.strerror or error)
    return found
