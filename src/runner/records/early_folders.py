"""What was there before Hydra made a folder, for cleaning up after a run that never began."""

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
    """A Hydra callback that looks before Hydra makes a folder.

    Attributes:
        known: the folder of the run, or of the sweep, and its parents, as far as they were there.
    """

    known: ClassVar[set[Path]] = set()

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        # The folder's name asks Hydra for the choices, which Hydra sets a little later.
        HydraConfig.instance().set_config(config)
        EarlyFolders.known = _existing(config, "hydra.run.dir")
        with suppress(OmegaConfBaseException), read_write(config.hydra):
            # Its name has chance in it. Hydra forgets it where it fails before the job begins.
            folder = str(OmegaConf.select(config, "hydra.run.dir", throw_on_missing=True))
            config.hydra.run.dir = os.path.normpath(folder)
            config.hydra.runtime.output_dir = os.path.abspath(folder)
        HydraConfig.instance().set_config(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        EarlyFolders.known = _existing(config, "hydra.sweep.dir")


def _existing(config: DictConfig, key: str) -> set[Path]:
    """What is there of a folder; nothing where it has no name, which Hydra says next."""
    try:
        return existing(Path(OmegaConf.select(config, key)))
    except (OmegaConfBaseException, OSError, TypeError):
        return set()
