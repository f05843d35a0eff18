"""Checkpoints: everything that a run needs to end in the same bits."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from models.link_model import LinkModel
from runner.errors import RunnerError
from runner.run_folder import atomic
from runner.seeding import Generators
from runner.state import TrainingState

FORMAT = 1


class OtherData(RunnerError):
    """A checkpoint of a run on other data, or on another split of the same."""


def save(
    path: Path,
    *,
    model: LinkModel,
    optimizer: torch.optim.Optimizer,
    generators: Generators,
    state: TrainingState,
    fingerprint: str,
) -> None:
    """Write a full checkpoint; a kill leaves the old file or the new one, never a torn one."""
    content = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generators": generators.state(),
        "state": asdict(state),
    }
    with atomic(path) as temporary:
        torch.save(content, temporary)


def load(path: Path, fingerprint: str) -> dict[str, Any]:
    """Read a checkpoint without executing code from it (`weights_only=True`), onto the CPU.

    Raises:
        RunnerError: if the file is damaged, of another format, or made on other data.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError("it has another format")
        made_on = str(content["fingerprint"])
    except Exception as error:  # damaged files fail in many types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunnerError(
            f"{path}: the checkpoint is damaged or not one of ours ({reason}); "
            "restore the file, or start the run anew with the overrides in its overrides.yaml"
        ) from None
    if made_on != fingerprint:
        raise OtherData(
            f"{path}: the dataset has changed since this run was started "
            f"(fingerprint {made_on[:12]} then, {fingerprint[:12]} now); "
            "restore the data, or start a new run"
        )
    return content


def restore(
    content: dict[str, Any],
    *,
    model: LinkModel,
    optimizer: torch.optim.Optimizer,
    generators: Generators,
) -> TrainingState:
    """Put a loaded checkpoint's state into the parts of a run."""
    model.load_state_dict(content["model"])
    optimizer.load_state_dict(content["optimizer"])
    generators.restore(content["generators"])
    state = TrainingState(**content["state"])
    if state.draws:  # a run without training has none
        generators.restore_draws(state.draws)
    return state
