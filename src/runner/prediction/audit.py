"""The audits of a run made later, and kept beside it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from runner.audits.chance import same_chance
from runner.config.reports import AUDITS, with_later
from runner.errors import RunnerError
from runner.experiment.audited import audit
from runner.experiment.parts import assemble
from runner.prediction.trained import Trained
from runner.records.summary import read_summary
from runner.storage.seal import Damaged, read_json
from runner.training.ranks import ALONE

log = logging.getLogger(__name__)


def audit_again(trained: Trained) -> dict[str, Any]:
    """The audits of a run's best weights, kept beside it for `runner-compare`.

    What cannot be made now leaves what was made earlier.

    Raises:
        RunnerError: if the run has no metrics, or is not finished.
    """
    folder = trained.folder
    if not (folder.path / "summary.json").exists():
        raise RunnerError(
            f"{folder.path}: this run is not finished, and audits come after its last epoch; "
            f"first: runner resume={folder.path}"
        )
    seconds = read_summary(folder.path)["seconds"]
    parts = assemble(trained.config, folder.path, ALONE)
    model = parts.training.model.eval()
    model.load_state_dict(trained.model.state_dict())
    with same_chance(model):
        found = audit(parts, folder.path, epoch=trained.epoch, seconds=seconds)
    if not found:
        raise RunnerError(f"{folder.path}: this run has no metrics, and no scores to audit")
    try:
        kept = with_later(_read_earlier(folder.path / AUDITS, trained.epoch), found)
        folder.write_json(AUDITS, {"best_epoch": trained.epoch, "audits": kept})
    except OSError as error:
        log.warning("%s cannot be written (%s)", folder.path / AUDITS, error.strerror or error)
    return found


def _read_earlier(path: Path, epoch: int) -> dict[str, Any]:
    """The audits of the same weights that the file has; none if it cannot be read."""
    try:
        kept = read_json(path.read_text())
    except (OSError, ValueError, Damaged):
        return {}
    return kept["audits"] if kept["best_epoch"] == epoch else {}
