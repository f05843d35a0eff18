"""The folders that exist before Hydra makes one, to clean up after a run that fails early."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from runner.storage.files import existing


class EarlyFolders(Callback):
    """A Hydra callback that records the existing folders before Hydra makes one.

    Attributes:
        known: the folder of the run or sweep and its parents, if they exist.
    """

    known: ClassVar[set[Path]] = set()

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        # The name of the folder needs Hydra's choices, which Hydra sets later.
        HydraConfig.instance().set_config(config)
        EarlyFolders.known = _existing(config, "hydra.run.dir")
        with suppress(OmegaConfBaseException), read_write(config.hydra):
            # The name has a random part. Hydra forgets it if it fails before the job begins.
            folder = str(OmegaConf.select(config, "hydra.run.dir", throw_on_missing=True))
            config.hydra.run.dir = os.path.normpath(folder)
            config.hydra.runtime.output_dir = os.path.abspath(folder)
        HydraConfig.instance().set_config(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        EarlyFolders.known = _existing(config, "hydra.sweep.dir")


def _existing(config: DictConfig, key: str) -> set[Path]:
    """The existing ones of a folder and its parents; none without a name, which Hydra reports."""
    try:
        return existing(Path(OmegaConf.select(config, key)))
    except (OmegaConfBaseException, OSError, TypeError):
        return set()
