"""The interpolations that conf/ uses beside Hydra's own."""

from __future__ import annotations

import secrets

from omegaconf import OmegaConf

from runner.config import published


def register() -> None:
    """Make them known to OmegaConf in this process; safe to call again."""
    published.register()
    OmegaConf.register_new_resolver("random_id", lambda: secrets.token_hex(4), replace=True)
