"""Weights & Biases as a tracker. W&B is imported when a run starts, not before."""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Annotated, Any, Literal

import psutil

from runner.config.flat import flat
from runner.keys import Before, Seconds
from runner.tracking.media import Medium
from runner.tracking.tracker import RunInfo, Tracker, first_line
from runner.tracking.wandb_login import has_credentials
from runner.tracking.wandb_media import render

log = logging.getLogger(__name__)

# The published values and figures of a protocol, which are no settings of the run.
_REFERENCE = ("protocol/tuned", "protocol/published")
_END_SECONDS = 3.0  # time limit for the end of W&B's service


class WandbTracker(Tracker):
    """Weights & Biases, below `<folder>/wandb/`, online or offline.

    Args:
        project: W&B project.
        entity: W&B team or user; None is the account's default.
        mode: `auto` follows WANDB_MODE (or the setting of `wandb offline`), else is online with
            credentials and offline without. `online` and `offline` override WANDB_MODE.
            A run that cannot go online continues offline.
        init_timeout: seconds until an unreachable server means offline.
        finish_timeout: seconds that the end of a run waits for its upload.
        media: show media at the end of a run.
        model_artifact: keep the model of the best epoch as an artifact, as `Run.export` writes it.
    """

    def __init__(
        self,
        *,
        project: str,
        entity: str | None,
        mode: Literal["auto", "online", "offline"],
        init_timeout: Seconds,
        finish_timeout: Seconds,
        media: Annotated[bool, Before(True)] = True,
        model_artifact: Annotated[bool, Before(False)] = False,
    ) -> None:
        self.project = project
        self.entity = entity
        self.mode = mode
        self.init_timeout = init_timeout
        self.finish_timeout = finish_timeout
        self.wants_media = media
        self.wants_model = model_artifact
        self.upload_command: str | None = None
        self.url: str | None = None
        self._run: Any = None
        self._folder = Path()
        self._last_epoch = self._step = -1
        self._holds_all = False
        self._held = False

    def start(self, run: RunInfo) -> None:
        self._folder = run.folder
        self._last_epoch = run.epochs
        # With patience any epoch may be the last.
        self._holds_all = run.config["train"].get("patience") is not None
        # W&B's reports on itself go to the same server. If it does not answer, they delay the end
        # of the process by ten seconds. wandb reads the variable at its import.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        def init(mode: Literal["online", "offline"]) -> Any:
            # The settings of the process silence messages outside a run (loaded credentials, …).
            wandb.setup(wandb.Settings(silent=True))
            return wandb.init(
                project=self.project,
                entity=self.entity,
                dir=run.folder,
                id=run.run_id,
                resume="allow",  # also for a new run
                name=run.name,
                group=run.group,
                job_type="train",
                tags=list(run.tags),
                config=columns(run.config),
                mode=mode,
                # By default a second init in one process returns the first run, or waits for an
                # earlier run that is stuck.
                reinit="create_new",
                settings=wandb.Settings(
                    silent=True,
                    console="off",
                    init_timeout=self.init_timeout,
                    finish_timeout=self.finish_timeout,
                    finish_timeout_raises=True,
                ),
            )

        mode = self._choose_mode(wandb.setup(wandb.Settings(silent=True)).settings)
        if mode == "disabled":
            self.wants_media = self.wants_model = False
            return
        if mode == "online":
            try:
                self._run = init("online")
                self.url = self._run.url
            except Exception as error:
                log.warning(
                    "W&B cannot go online (%s); the run continues offline", first_line(error)
                )
                # W&B's service still holds the id of the failed run.
                _end_service()
        if self._run is None:
            self._run = init("offline")
            # The parent folder: every start of a resumed run leaves a folder of its own in it.
            self.upload_command = f"wandb sync {self._directory()}"
        self._run.define_metric("epoch")
        self._run.define_metric("*", step_metric="epoch")

    def log(self, row: Mapping[str, float | int], step: int) -> None:
        if self._run is not None:
            # W&B takes one row for each step, once. The last row waits for the media, or for
            # `finish`: W&B's own end would write it over the summary.
            self._held = self._holds_all or step == self._last_epoch
            self._step = step
            self._run.log(dict(row), step=step, commit=not self._held)

    def show_media(self, media: Mapping[str, Medium]) -> None:
        """Add the media to the last epoch's row, as `media/<name>`."""
        if self._run is not None and self._held:
            shown = {f"media/{name}": medium for name, medium in media.items()}
            rendered = {
                key: render(medium, self._run, key, self._step) for key, medium in shown.items()
            }
            self._run.log(rendered, step=self._step, commit=False)

    def keep_model(self, write: Callable[[Path], None]) -> None:
        """Log the model as an artifact of type model, named after the run."""
        if self._run is None:
            return
        import wandb

        with TemporaryDirectory() as folder:
            write(Path(folder))
            artifact = wandb.Artifact(f"model-{self._run.id}", type="model")
            artifact.add_dir(folder)  # W&B copies it
            self._run.log_artifact(artifact)

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        """End the run with every metric of the best epoch, and the values of `summary`."""
        if self._run is None:
            return
        run, self._run = self._run, None
        try:
            if self._held:
                run.log({}, step=self._step, commit=True)
            if summary:
                best = _metrics_of_epoch(self._folder, summary.get("best_epoch"))
                of_summary = {k: v for k, v in flat(summary, "/").items() if v is not None}
                run.summary.update({**best, **of_summary})
        finally:
            self._finish(run, exit_code)

    def _finish(self, run: Any, exit_code: int) -> None:
        try:
            run.finish(exit_code=exit_code)
        except Exception as error:
            directory = shlex.quote(run.settings.sync_dir)
            self.upload_command = f"wandb sync --include-online {directory}"
            if not isinstance(error, TimeoutError):
                _end_service()
                raise
            log.warning(
                "W&B has not taken everything within tracker.finish_timeout=%g seconds; "
                "the rest can be uploaded later",
                self.finish_timeout,
            )

    def abandon(self) -> None:
        """End W&B's service, so that every pending call into W&B returns with an error."""
        if (self._folder / "wandb").is_dir():
            # The rows may be in the online or in the offline run.
            self.upload_command = f"wandb sync --include-online {self._directory()}"
        # A polite end completes the service's file, but the service itself may be stuck.
        ending = Thread(target=_end_service, daemon=True)
        ending.start()
        ending.join(_END_SECONDS)
        if ending.is_alive():
            for process in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):
                    if process.name() == "wandb-core":
                        process.kill()

    def _directory(self) -> str:
        return shlex.quote(str(self._folder / "wandb"))

    def _choose_mode(self, settings: Any) -> Literal["online", "offline", "disabled"]:
        chosen: str | None = self.mode
        if self.mode == "auto":
            chosen = os.environ.get("WANDB_MODE")
            if not chosen and settings.mode != "online":
                chosen = settings.mode  # `wandb offline` and `wandb disabled` write it to a file
        if chosen == "disabled":
            return "disabled"
        if chosen in ("offline", "dryrun"):
            return "offline"
        if chosen not in (None, "", "online", "run"):
            raise ValueError(f"WANDB_MODE={chosen} is not online, offline or disabled")
        if has_credentials(settings):
            return "online"
        if chosen:  # without credentials W&B would prompt for them and wait
            log.warning("W&B has no API key (`wandb login` sets it up); the run continues offline")
        return "offline"


def _end_service() -> None:
    """End W&B's service; the next run of this process starts another."""
    import wandb

    with suppress(OSError, SystemExit):  # raised if the service was killed
        wandb.teardown()


def _metrics_of_epoch(folder: Path, epoch: object) -> dict[str, Any]:
    """The line of metrics.jsonl for `epoch`, which an earlier process may have written."""
    try:
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        rows = (json.loads(line) for line in lines)
        return next((row for row in rows if row.get("epoch") == epoch), {})
    except (OSError, ValueError):
        return {}


def columns(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as W&B's columns: one scalar for each key, as in `model/completion/t`.

    W&B reads a dot in a key as a step into a nested value, but no slash. Lists are joined by
    commas. Published values and figures are left out: the keys that they set are columns.
    """
    found = flat(config, "/")
    return {
        key: ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        for key, value in found.items()
        if not key.startswith(_REFERENCE)
    }
