"""One process at a time writes to a run folder, or runs a job of a sweep."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from runner.errors import Held, RunnerError

log = logging.getLogger(__name__)

LOCK = ".lock"
_PATIENCE = 0.5  # seconds; a process that looks at a lock takes a shared one for a moment


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process from writing to the run in `folder`; a kill lets go of it.

    Raises:
        Held: naming the process and host that has it.
        RunnerError: if the folder cannot be written.
    """
    try:
        with held(folder / LOCK) as dead:
            if dead:
                log.warning("%s has left this run without a word; going on", dead)
            yield
    except Held as error:
        raise Held(
            f"resume={folder}: {error} is running it; wait for its end, or stop it first"
        ) from None


@contextmanager
def held(path: Path) -> Iterator[str | None]:
    """Hold a lock file inside the `with`.

    The file names its holder. On a file system without locks that name alone counts: a holder on
    this machine that is dead is none.

    Yields:
        The dead process that held it last, in words, or None.

    Raises:
        Held: in words, who has it.
        RunnerError: if the file cannot be written.
    """
    lock = _file_lock(path)
    try:
        holder = _read(path)  # locking may empty the file
        path.touch()
    except OSError as error:
        raise RunnerError(
            f"{path} cannot be written ({error.strerror}); make its folder writable"
        ) from None
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise Held(_words(_read(path))) from None
    except (OSError, NotImplementedError):
        if holder and not _is_dead(holder):
            raise Held(f"{_words(holder)} (if it is dead, delete {path})") from None
    try:
        _write(path, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        try:
            yield _words(holder) if holder else None
        finally:
            _write(path, "")
    finally:
        lock.release()


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Wait for the lock of a file, and hold it inside the `with`; a kill lets go of it.

    Yields:
        False where the file system has no locks, and others may be in as well.

    Raises:
        OSError: if the file cannot be made.
    """
    lock = _file_lock(path)
    path.touch()
    try:
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout:
            log.info("waiting for another process that has locked %s", path)
            lock.acquire()
    except FileNotFoundError:  # its folder is gone
        raise
    except (OSError, NotImplementedError) as error:
        log.debug("%s cannot be locked: %s", path, error)
    try:
        yield lock.is_locked
    finally:
        lock.release()


def _file_lock(path: Path) -> FileLock:
    # A soft lock would outlive a killed process.
    return FileLock(path, fallback_to_soft=False)


def is_locked(folder: Path) -> str | None:
    """Who is writing to the run in `folder`, in words; None if nobody is."""
    return holder_of(folder / LOCK)


def holder_of(path: Path) -> str | None:
    """Who holds a lock file, in words; None if nobody does."""
    try:
        with open(path) as file:
            holder = _read(path)
            try:
                # Shared, unlike filelock's: one that looks does not lock out another.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _words(holder)
            except OSError:
                return _words(holder) if holder and not _is_dead(holder) else None
    except OSError:
        pass
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text() or "{}")
    except (ValueError, FileNotFoundError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_dead(holder: dict[str, Any]) -> bool:
    if holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, KeyError, ValueError, TypeError, OverflowError):
        return False
    return holder["pid"] == os.getpid()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:  # a full disk: the system's lock holds without the name
        log.debug("the lock cannot be signed: %s", error)


def _words(holder: dict[str, Any]) -> str:
    return f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
