"""What became of the jobs of a multirun, for its closing table."""

from __future__ import annotations

from typing import Any, ClassVar

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class JobRecorder(Callback):
    """A Hydra callback that notes how each job of this process ended."""

    multirun: ClassVar[bool] = False
    jobs: ClassVar[list[dict[str, Any]]] = []

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        JobRecorder.multirun = True

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        failed = job_return.status is not None and job_return.status.name == "FAILED"
        row: dict[str, Any] = {
            "job": len(self.jobs),
            "overrides": list(job_return.overrides or []),
            "status": "failed" if failed else "done",
            "folder": config.hydra.runtime.output_dir,
        }
        if failed:
            row["error"] = str(job_return._return_value)
        elif job_return.return_value:
            row["summary"] = job_return.return_value
        self.jobs.append(row)
