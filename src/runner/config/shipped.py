"""The shipped config with some overrides, composed within a command or outside of one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig


def compose_shipped(overrides: Sequence[str], *, hydra: bool = False) -> DictConfig:
    """The shipped config with these overrides, not yet resolved.

    Args:
        hydra: with Hydra's own section.
    """
    # Inside a Hydra command, Hydra knows our configs already.
    known = GlobalHydra.instance().is_initialized()
    with nullcontext() if known else initialize_config_module("runner.conf", version_base="1.3"):
        return compose("config", overrides=list(overrides), return_hydra_config=hydra)
