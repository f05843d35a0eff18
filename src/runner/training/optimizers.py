"""Optimisers and schedules: one learning rate for the encoder, one for the predictor.

Adam by default, as in the NCN release.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from runner.models.link_model import LinkModel
from runner.models.node_embedding import node_embeddings


def build_optimizer(
    model: LinkModel,
    *,
    make: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    lr_encoder: float,
    lr_predictor: float,
    weight_decay: float = 0.0,
    folder: Path | None = None,
    learned: nn.Module | None = None,
) -> torch.optim.Optimizer:
    """An optimiser of two groups, encoder and predictor; a group may be empty.

    The weights of an objective, where it has some, are a third one.

    Node embeddings with sparse gradients are updated by :class:`torch.optim.SparseAdam`, with the
    encoder's learning rate: of rows that a step does not touch, neither weights nor moments move.

    Args:
        make: torch's class, or another of its kind, with its own arguments bound.
        weight_decay: of both groups; 0 leaves it to ``make``.
        folder: where the moments of those are to live, in a file without a name; None for memory.
        learned: the weights of the objective, with the predictor's learning rate.
    """
    sparse = [module.weight for module in node_embeddings(model) if module.sparse]
    apart = {id(weight) for weight in sparse}
    decay = {"weight_decay": weight_decay} if weight_decay else {}
    groups = [
        {
            "name": name,
            "params": [p for p in part.parameters() if id(p) not in apart],
            "lr": lr,
            **decay,
        }
        for name, part, lr in (
            ("encoder", model.encoder, lr_encoder),
            ("predictor", model.predictor, lr_predictor),
        )
    ]
    own = list(learned.parameters()) if learned is not None else []
    if own:
        groups.append({"name": "objective", "params": own, "lr": lr_predictor, **decay})
    dense = make(groups)
    if not sparse:
        return dense
    rows = torch.optim.SparseAdam([{"name": "embeddings", "params": sparse, "lr": lr_encoder}])
    zeros = torch.zeros_like if folder is None else partial(on_disk, folder=folder)
    for weight in sparse:
        moments = {name: zeros(weight.data) for name in ("exp_avg", "exp_avg_sq")}
        rows.state[weight] = {"step": 0, **moments}
    return Together(dense, rows)


class Schedule:
    """A scheduler of torch's, stepped once an epoch.

    Args:
        scheduler: of :mod:`torch.optim.lr_scheduler`, or another of its kind.
    """

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def epoch(self, metric: float | None) -> None:
        """The end of an epoch; ``metric`` is validation's, None where it was not evaluated."""
        if not isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            with warnings.catch_warnings():
                # torch looks for a step of the optimiser in this process; a resumed run may have
                # done its last one before.
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
                self.scheduler.step()
        elif metric is not None:
            self.scheduler.step(metric)

    def state_dict(self) -> dict[str, Any]:
        return self.scheduler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.scheduler.load_state_dict(dict(state))


class Together(torch.optim.Optimizer):
    """Two optimisers as one: Adam, and another for embeddings with sparse gradients."""

    def __init__(self, dense: torch.optim.Optimizer, rows: torch.optim.Optimizer) -> None:
        self.parts = {"dense": dense, "rows": rows}
        self.param_groups = [*dense.param_groups, *rows.param_groups]
        self.defaults = dense.defaults

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts.values():
            part.zero_grad(set_to_none)

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for part in self.parts.values():
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take up a state; moments stay in the memory, or the file, that they are in."""
        self.parts["dense"].load_state_dict(dict(state_dict["dense"]))
        rows = self.parts["rows"]
        places = {weight: dict(state) for weight, state in rows.state.items()}
        rows.load_state_dict(dict(state_dict["rows"]))
        for weight, state in rows.state.items():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    state[name] = places[weight][name].copy_(value)
        self.param_groups = [group for part in self.parts.values() for group in part.param_groups]


def on_disk(like: Tensor, folder: Path) -> Tensor:
    """Zeros of this shape in a memory-mapped file that is gone with the process.

    Raises:
        OSError: if there is no room for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="embeddings-") as file:
        size = like.numel() * like.element_size()
        # Room for all of it now: a file with holes would end the process when the disk is full.
        getattr(os, "posix_fallocate", lambda fd, _, size: os.ftruncate(fd, size))(
            file.fileno(), 0, size
        )
        flat = torch.from_file(file.name, shared=True, size=like.numel(), dtype=like.dtype)
        return flat.view(like.shape)
