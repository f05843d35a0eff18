"""One process at a time writes to a run folder, or runs a job of a sweep."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from runner.errors import Held, RunnerError

log = logging.getLogger(__name__)

LOCK = ".lock"
_TRIES, _PAUSE = 10, 0.05


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
    """Hold a lock file inside the `with`; the dead process that held it last, in words, or None.

    The lock is the system's, on the file, which names the process that has it. On a file system
    without locks that name alone counts: a holder on this machine that is dead is none.

    Raises:
        Held: in words, who has it.
        RunnerError: if the file cannot be written.
    """
    try:
        file = open(path, "a+")  # noqa: SIM115
    except OSError as error:
        raise RunnerError(
            f"{path} cannot be written ({error.strerror}); make its folder writable"
        ) from None
    with file:
        try:
            _lock(file)
            holder = _holder(file)
        except BlockingIOError:
            raise Held(_words(_holder(file))) from None
        except OSError:
            holder = _holder(file)
            if holder and not _is_dead(holder):
                raise Held(f"{_words(holder)} (if it is dead, delete {path})") from None
        _write(file, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        try:
            yield _words(holder) if holder else None
        finally:
            _write(file, "")


def _lock(file: IO[str]) -> None:
    """Lock for writing; who only looks whether somebody has (`holder_of`) soon lets go of it."""
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_PAUSE)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(folder: Path) -> str | None:
    """Who is writing to the run in `folder`, in words; None if nobody is."""
    return holder_of(folder / LOCK)


def holder_of(path: Path) -> str | None:
    """Who holds a lock file, in words; None if nobody does."""
    try:
        with open(path) as file:
            holder = _holder(file)
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _words(holder)
            except OSError:
                return _words(holder) if holder and not _is_dead(holder) else None
    except OSError:
        pass
    return None


def _holder(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    try:
        found = json.loads(file.read() or "{}")
    except (ValueError, OSError):
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


def _write(file: IO[str], text: str) -> None:
    try:
        file.truncate(0)
        file.write(text)
        file.flush()
    except OSError as error:  # a full disk: the system's lock holds without the name
        log.debug("the lock cannot be signed: %s", error)


def _words(holder: dict[str, Any]) -> str:
    return f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
