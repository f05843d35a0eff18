"""One run, one folder: its records, written so that a kill leaves nothing half-written."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from runner.errors import Interrupted, RunnerError

log = logging.getLogger(__name__)


class RunFolder:
    """The files of one run; `path` exists. Made by `claim` or `reopen`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.metrics = path / "metrics.jsonl"
        self.log = path / "run.log"

    @classmethod
    def claim(cls, path: Path) -> RunFolder:
        """Take a folder for a new run, exclusively.

        Raises:
            RunnerError: if the folder holds a run or anything else already, or cannot be written.
        """
        path = path.absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not (path / "status.json").exists() and any(path.iterdir()):
                raise RunnerError(
                    f"hydra.run.dir={path}: this folder is not empty; a run starts in a folder of "
                    "its own, choose another"
                )
            # Creating the status file is the claim: of two that start at once, one gets it.
            with open(path / "status.json", "x") as file:
                json.dump({"status": "running"}, file)
            (path / "checkpoints").mkdir(exist_ok=True)
        except FileExistsError:
            raise RunnerError(
                f"hydra.run.dir={path}: this folder already holds a run; "
                f"go on with it by `runner resume={path}`, or choose another folder"
            ) from None
        except OSError as error:
            raise RunnerError(
                f"hydra.run.dir={path}: the run folder cannot be written ({error.strerror}); "
                "choose another place with hydra.run.dir=…"
            ) from None
        return cls(path)

    @classmethod
    def reopen(cls, path: Path) -> RunFolder:
        """Open the folder of an earlier run, to go on with it.

        Raises:
            RunnerError: if it is not a run folder or has no checkpoint.
        """
        path = path.absolute()
        if not path.is_dir():
            raise RunnerError(f"resume={path}: there is no such folder; give a run folder")
        missing = [n for n in ("config.yaml", "meta.json") if not (path / n).is_file()]
        if missing:
            raise RunnerError(
                f"resume={path}: not a run folder ({' and '.join(missing)} missing); "
                "give a folder like outputs/<dataset>/<model>/<time>-<id>"
            )
        folder = cls(path)
        if not (folder.checkpoints / "last.pt").is_file():
            raise RunnerError(
                f"resume={path}: it has no checkpoints/last.pt, the run stopped before its first "
                "checkpoint; start it anew with the overrides in its overrides.yaml"
            )
        return folder

    def start(
        self, config: Mapping[str, Any], overrides: Sequence[str], meta: Mapping[str, Any]
    ) -> None:
        """Write what the run is: config.yaml (resolved), overrides.yaml, meta.json."""
        self._write("config.yaml", yaml.safe_dump(dict(config), sort_keys=False))
        self._write("overrides.yaml", yaml.safe_dump(list(overrides)))
        self.write_meta({"run_id": secrets.token_hex(4), "created": now(), **meta, "resumes": []})
        self.metrics.touch()

    def config(self) -> dict[str, Any]:
        """The resolved config that the run was started with."""
        return self._read("config.yaml")

    def meta(self) -> dict[str, Any]:
        """The contents of meta.json."""
        return self._read("meta.json")

    def _read(self, name: str) -> dict[str, Any]:
        try:
            # JSON is YAML too.
            found = yaml.safe_load((self.path / name).read_text())
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            found = str(error).splitlines()[0]
        if not isinstance(found, dict):
            raise RunnerError(
                f"resume={self.path}: {name} cannot be read ({found}); "
                "restore it, or start the run anew"
            )
        return found

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        self.write_json("meta.json", meta)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace a JSON file as a whole."""
        self._write(name, json.dumps(content, indent=2) + "\n")

    def status(self, status: str, error: str | None = None) -> None:
        """Set status.json: running, done, failed or interrupted."""
        content = {"status": status, "error": error, "time": now(), "pid": os.getpid()}
        self.write_json("status.json", {**content, "host": socket.gethostname()})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from writing to the folder; a kill lets go of it.

        Raises:
            RunnerError: naming the process and host that has it.
        """
        try:
            file = open(self.log, "a")  # noqa: SIM115
        except OSError as error:
            raise RunnerError(
                f"{self.log} cannot be written ({error.strerror}); make the run folder writable"
            ) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = self._read("status.json")
                raise RunnerError(
                    f"resume={self.path}: process {holder.get('pid')} on {holder.get('host')} is "
                    "running it; wait for its end, or stop it first"
                ) from None
            except OSError as error:  # some network file systems know no locks
                log.warning(
                    "%s cannot be locked (%s): let no other process resume it", self.path, error
                )
            yield

    @contextmanager
    def recording_status(self) -> Iterator[None]:
        """Let status.json say running, and then how it ended: done, failed or interrupted."""
        self.status("running")
        try:
            yield
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | Interrupted):
                self.status("interrupted")
            else:
                self.status("failed", str(error) or type(error).__name__)
            raise
        self.status("done")

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one epoch's line; it is on the disk when this returns."""
        with open(self.metrics, "a") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def drop_metrics_after(self, epoch: int) -> None:
        """Forget the lines of epochs that the checkpoint does not know, and any torn last line."""
        kept = []
        for line in self.metrics.read_text().splitlines() if self.metrics.exists() else []:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                break
            if row["epoch"] > epoch:
                break
            kept.append(line + "\n")
        self._write("metrics.jsonl", "".join(kept))

    def _write(self, name: str, text: str) -> None:
        with atomic(self.path / name) as temporary:
            temporary.write_text(text)

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Copy every log message into run.log, and the traceback of what ends the run."""
        handler = logging.FileHandler(self.log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        except BaseException as error:
            # To this handler alone: the console gets one line.
            record = root.makeRecord("runner", logging.ERROR, "", 0, "%s", (error,), sys.exc_info())
            handler.handle(record)
            raise
        finally:
            root.removeHandler(handler)
            handler.close()


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, synced to disk, on success."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def discard_empty(path: Path, *, keep: Collection[Path]) -> None:
    """Remove an empty folder and its empty parents, up to one that is to be kept."""
    for folder in (path, *path.parents):
        if folder in keep:
            return
        try:
            folder.rmdir()
        except OSError:
            return


def existing(path: Path) -> set[Path]:
    """Which of a folder and its parents are there."""
    path = path.absolute()
    return {folder for folder in (path, *path.parents) if folder.exists()}


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
