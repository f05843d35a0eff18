"""One run, one folder: its records, written so that a kill leaves nothing half-written."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import os
import re
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from runner.config import aliases
from runner.config.hydra_messages import short
from runner.config.reports import NODES
from runner.errors import Interrupted, Pruned, RunnerError
from runner.storage.files import atomic, create, sync_folder
from runner.storage.seal import Damaged, has_seal, read_json, read_lines, sealed_json, sealed_lines

log = logging.getLogger(__name__)

# Temporary files of `atomic` and of the rotation in `records.checkpoint`.
_LEFTOVER = re.compile(r"\..+\.(pt|json|jsonl|yaml|csv)\.(\w{8}|link)")


class RunFolder:
    """The files of one run; `path` exists. Made by `claim` or `reopen`.

    Its records (config.yaml, overrides.yaml, meta.json and metrics.jsonl) are kept in memory too:
    each checkpoint holds them, so that a damaged file can be written again.

    Args:
        called: what stands before the path in messages: the key that gave it.
    """

    def __init__(self, path: Path, *, called: str = "resume=") -> None:
        self.path = path
        self._called = f"{called}{path}"
        self.checkpoints = path / "checkpoints"
        self.metrics = path / "metrics.jsonl"
        self.log = path / "run.log"
        self._records: dict[str, str] = {}
        self._metrics = ""
        self._metrics_written = 0  # bytes that are synced to the disk

    @classmethod
    def claim(
        cls,
        path: Path,
        *,
        config: Mapping[str, Any],
        overrides: Sequence[str],
        meta: Mapping[str, Any],
    ) -> RunFolder:
        """Claim a folder for a new run, exclusively, and write its records.

        Raises:
            RunnerError: if the folder is not empty, or cannot be written.
        """
        folder = cls(path.absolute())
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            folder._refuse_if_taken()
            # The complete config.yaml is the claim: of two runs that start at once, one gets it.
            text = yaml.safe_dump(dict(config), sort_keys=False)
            folder._create("config.yaml", sealed_lines(text))
            folder._write("overrides.yaml", sealed_lines(yaml.safe_dump(list(overrides))))
            folder._write_new_meta(meta)
            folder.status("running")
            folder.checkpoints.mkdir(exist_ok=True)
            folder.metrics.touch()
            for made in (folder.path, *folder.path.parents):
                sync_folder(made)
        except OSError as error:
            folder._withdraw()
            raise RunnerError(
                f"hydra.run.dir={folder.path}: the run folder cannot be written "
                f"({error.strerror}); choose another place with hydra.run.dir=…"
            ) from None
        return folder

    def _withdraw(self) -> None:
        """Undo a claim that failed."""
        if "config.yaml" not in self._records:
            return  # the folder belongs to another run
        for name in (*_READERS, self.metrics.name):
            with contextlib.suppress(OSError):
                (self.path / name).unlink()
        with contextlib.suppress(OSError):
            self.checkpoints.rmdir()

    def _refuse_if_taken(self) -> None:
        leftover = ".config.yaml."  # from a start that was killed before its claim
        if not [p for p in self.path.iterdir() if not p.name.startswith(leftover)]:
            return
        with contextlib.suppress(Damaged):
            self._read("config.yaml")
            raise self._taken_error()
        raise RunnerError(
            f"hydra.run.dir={self.path}: this folder is not empty; a run starts in a folder of "
            "its own, choose another"
        )

    def _taken_error(self) -> RunnerError:
        return RunnerError(
            f"hydra.run.dir={self.path}: this folder already holds a run; "
            f"resume it with `runner resume={self.path}`, or choose another folder"
        )

    def _create(self, name: str, text: str) -> None:
        try:
            create(self.path / name, text)
        except FileExistsError:
            raise self._taken_error() from None
        self._records[name] = text

    @classmethod
    def reopen(cls, path: Path, *, called: str = "resume=") -> RunFolder:
        """Open the folder of an earlier run.

        Raises:
            RunnerError: if it is not a run folder.
        """
        path = path.absolute()
        try:
            there = path.is_dir()
        except OSError as error:
            raise RunnerError(
                f"{called}{short(str(path))}: {error.strerror}; give a run folder"
            ) from None
        if not there:
            raise RunnerError(f"{called}{path}: there is no such folder; give a run folder")
        if path.name == "init" and (path.parent / "config.yaml").is_file():
            raise RunnerError(
                f"{called}{path}: this is what the run in {path.parent} began from; give that "
                "folder"
            )
        folder = cls(path, called=called)
        if (path / "sweep.yaml").is_file():
            raise RunnerError(f"{called}{path}: this is a sweep; runner -m resume={path}")
        if not (path / "config.yaml").is_file() and not folder.checkpoints.is_dir():
            raise RunnerError(
                f"{called}{path}: not a run folder (config.yaml missing); "
                "give a folder like outputs/<dataset>/<model>/<time>-<id>"
            )
        if not folder._is_ours():
            raise RunnerError(
                f"{called}{path}: not a run folder, or all of it is damaged (no file in it is as "
                "runner writes it); give another, or start the run anew"
            )
        return folder

    def _is_ours(self) -> bool:
        """Whether at least one file was written by a run."""
        return any(self._read_if_intact(name) is not None for name in _READERS) or any(
            path.is_file() and has_seal(path) for path in self.checkpoints.glob("*.pt")
        )

    def config(self) -> dict[str, Any]:
        """The resolved config at the start of the run.

        Raises:
            Damaged: if the file is missing or has changed.
        """
        return aliases.modernise(yaml.safe_load(self._record("config.yaml")))

    def overrides(self) -> list[str]:
        """The overrides of the run, as typed.

        Raises:
            Damaged: if the file is missing or has changed.
        """
        return yaml.safe_load(self._record("overrides.yaml"))

    def meta(self) -> dict[str, Any]:
        """The contents of meta.json.

        Raises:
            Damaged: if the file is missing or has changed.
        """
        return read_json(self._record("meta.json"))

    def _record(self, name: str) -> str:
        if name not in self._records:
            self._records[name] = self._read(name)
        return self._records[name]

    def _read(self, name: str) -> str:
        try:
            text = (self.path / name).read_text()
            _READERS[name](text)
        except (OSError, UnicodeDecodeError, Damaged) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise Damaged(
                f"{self._called}: {name} is damaged or missing ({reason}); "
                "restore it, or start the run anew"
            ) from None
        return text

    def _read_if_intact(self, name: str) -> str | None:
        try:
            return self._read(name)
        except Damaged:
            return None

    def records(self) -> dict[str, str]:
        """The text of each record, by file name."""
        names = ("config.yaml", "overrides.yaml", "meta.json")
        return {**{name: self._record(name) for name in names}, "metrics.jsonl": self._metrics}

    def take_records(self, records: Mapping[str, str]) -> None:
        """Use the records of a checkpoint; the files in the folder stay until `repair`.

        An intact meta.json in the folder takes precedence: later resumes have added to it.
        """
        self._records = {k: v for k, v in records.items() if k != "metrics.jsonl"}
        self._metrics = records["metrics.jsonl"]
        found = self._read_if_intact("meta.json")
        if found is not None:
            self._records["meta.json"] = found

    def start_over(self, meta: Mapping[str, Any]) -> None:
        """Use the records of a run without checkpoints, and clear its metrics.

        Args:
            meta: for meta.json, if the run was stopped before it wrote one.

        Raises:
            Damaged: if the config is missing or has changed.
        """
        self._record("config.yaml")
        (self.path / "checkpoints").mkdir(exist_ok=True)
        if self._read_if_intact("overrides.yaml") is None:
            self._write("overrides.yaml", sealed_lines(yaml.safe_dump([])))
        if self._read_if_intact("meta.json") is None:
            self._write_new_meta(meta)
        self.forget_metrics()

    def forget_metrics(self) -> None:
        """Clear the metrics; the next `repair` clears the file."""
        self._metrics = ""

    def repair(self) -> None:
        """Restore the files in the folder from the records, and log the damaged ones.

        Metrics of later epochs are dropped: the resume measures them again.
        """
        self._remove_leftovers()
        for name in _READERS:
            found, expected = self._read_if_intact(name), self._records.get(name)
            if expected is None:
                if found is None and (self.path / name).exists():
                    log.warning("%s was damaged", self.path / name)
            elif found != expected:
                log.warning("%s was damaged; it is written again", self.path / name)
                self._write(name, expected)
        expected_lines = self._metrics.encode()
        try:
            lines = self.metrics.read_bytes()
        except OSError:
            lines = None
        if lines is None or not lines.startswith(expected_lines):
            if expected_lines:
                log.warning("%s was damaged; it is written again", self.metrics)
            self._write("metrics.jsonl", self._metrics)
        elif len(lines) > len(expected_lines):
            os.truncate(self.metrics, len(expected_lines))
        self._metrics_written = len(expected_lines)

    def _remove_leftovers(self) -> None:
        """Remove temporary files of killed processes; a checkpoint may be large."""
        for path in (*self.path.glob(".*"), *self.checkpoints.glob(".*")):
            if _LEFTOVER.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _write_new_meta(self, meta: Mapping[str, Any]) -> None:
        identity = {"run_id": secrets.token_hex(4), "created": now()}
        self.write_meta({**identity, **meta, "resumes": []})

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        self.write_json("meta.json", meta)

    def write_names(self, names: Sequence[str]) -> None:
        """Keep the names of nodes, by their numbers."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["node", "name"])
        writer.writerows(enumerate(names))
        self._write(NODES, text.getvalue())

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace a JSON file as a whole."""
        self._write(name, sealed_json(content))

    def status(self, status: str, error: str | None = None) -> None:
        """Set status.json: running, done, failed, interrupted or pruned."""
        content = {"status": status, "error": error, "time": now(), "pid": os.getpid()}
        self.write_json("status.json", {**content, "host": socket.gethostname()})

    def is_interrupted(self) -> bool:
        """Whether status.json says that a signal has stopped the run."""
        text = self._read_if_intact("status.json")
        return text is not None and read_json(text)["status"] == "interrupted"

    @contextmanager
    def recording_status(self) -> Iterator[None]:
        """Record `running` in status.json, and the outcome at the end."""
        self.status("running")
        try:
            yield
        except BaseException as error:
            try:
                if isinstance(error, Pruned):
                    self.status("pruned")
                elif isinstance(error, KeyboardInterrupt | Interrupted | SystemExit):
                    self.status("interrupted")
                else:
                    self.status("failed", str(error) or type(error).__name__)
            except OSError as problem:
                log.warning("%s cannot be written (%s)", self.path / "status.json", problem)
            raise
        self.status("done")

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add the line of an epoch to the records, and all missing lines to the file.

        Raises:
            OSError: if the file cannot be written; the line stays in the records.
        """
        self._metrics += json.dumps(row) + "\n"
        self.flush_metrics()

    def flush_metrics(self) -> None:
        """Write all lines to the disk, synced.

        Raises:
            OSError: if the file cannot be written; a torn line is removed if possible.
        """
        text = self._metrics.encode()
        with open(self.metrics, "ab") as file:
            try:
                if file.tell() < self._metrics_written:  # the file was removed
                    self._metrics_written = 0
                if self._metrics_written < file.tell():
                    file.truncate(self._metrics_written)  # a torn line
                file.write(text[self._metrics_written :])
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(self._metrics_written)
                raise
        self._metrics_written = len(text)

    def _write(self, name: str, text: str) -> None:
        with atomic(self.path / name) as temporary:
            temporary.write_text(text)
        if name in _READERS and name != "status.json":
            self._records[name] = text

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Copy every log message to run.log, and the traceback of an error that ends the run."""
        handler = _LogFile(self.log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        except BaseException as error:
            # Only to this handler: the console gets one line.
            record = root.makeRecord("runner", logging.ERROR, "", 0, "%s", (error,), sys.exc_info())
            handler.handle(record)
            raise
        finally:
            root.removeHandler(handler)
            handler.close()


class _LogFile(logging.FileHandler):
    """A log that loses lines if the disk is full, instead of ending the run."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


_READERS: dict[str, Callable[[str], Any]] = {
    "config.yaml": read_lines,
    "overrides.yaml": read_lines,
    "meta.json": read_json,
    "status.json": read_json,
}


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
