"""What Hydra tells of a command's jobs: for a multirun's closing table, and for cleaning up."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from runner.files import existing


class JobRecorder(Callback):
    """A Hydra callback that notes how each job of this process ended.

    Attributes:
        multirun: whether this is one.
        jobs: a row for each job that has ended, see `runner.report.sweep_table`.
        folders: what was there before Hydra made the folder of the run, or of the sweep.
    """

    multirun: ClassVar[bool] = False
    jobs: ClassVar[list[dict[str, Any]]] = []
    folders: ClassVar[set[Path]] = set()

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        # The folder's name asks Hydra for the choices, which Hydra sets a little later.
        HydraConfig.instance().set_config(config)
        JobRecorder.folders = _folders(config, "hydra.run.dir")
        with suppress(OmegaConfBaseException), read_write(config.hydra):
            # Its name has chance in it. Hydra forgets it where it fails before the job begins.
            folder = str(OmegaConf.select(config, "hydra.run.dir", throw_on_missing=True))
            config.hydra.run.dir = os.path.normpath(folder)
            config.hydra.runtime.output_dir = os.path.abspath(folder)
        HydraConfig.instance().set_config(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        JobRecorder.multirun = True
        JobRecorder.folders = _folders(config, "hydra.sweep.dir")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        result = job_return._return_value
        failed = isinstance(result, BaseException)
        row: dict[str, Any] = {
            "job": len(self.jobs),
            "overrides": list(job_return.overrides or []),
            "status": "failed" if failed else "done",
            "folder": config.hydra.runtime.output_dir,
        }
        if failed:
            row["error"] = str(result)
            row["exception"] = result
        elif result:
            row["summary"] = result
            row["folder"] = result["folder"]  # of a resumed job another one
        self.jobs.append(row)


def _folders(config: DictConfig, key: str) -> set[Path]:
    """What is there of a folder; nothing where it has no name, which Hydra says next."""
    try:
        return existing(Path(OmegaConf.select(config, key)))
    except (OmegaConfBaseException, OSError, TypeError):
        return set()
