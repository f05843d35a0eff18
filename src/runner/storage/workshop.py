"""Files and folders that several processes want, made by one of them and never half there."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runner.storage.files import discard_empty, existing

log = logging.getLogger(__name__)


@contextlib.contextmanager
def workshop(final: Path) -> Iterator[Path]:
    """An empty folder beside `final` to make it in and move it from, for one process at a time.

    Nothing of the folder is left in the end, and what killed processes have left of theirs goes
    first. Look again whether `final` is there: another process may just have made it.

    Raises:
        OSError: if nothing can be written there.
    """
    before = existing(final.parent)
    try:
        with locked(final.with_name(f".{final.name}.lock")) as alone:
            if alone:
                for left in final.parent.glob(f".{glob.escape(final.name)}.making-*"):
                    shutil.rmtree(left, ignore_errors=True)
            prefix = f".{final.name}.making-"
            working = Path(tempfile.mkdtemp(dir=final.parent, prefix=prefix))
            try:
                yield working
            finally:
                shutil.rmtree(working, ignore_errors=True)
    finally:
        discard_empty(final.parent, keep=before)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Let one process in at a time; the lock file is there only meanwhile, a kill lets go of it.

    Yields:
        False where the file system knows no locks, and others may be in as well.

    Raises:
        OSError: if the file or its folder cannot be made.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = open(path, "a")  # noqa: SIM115
        except FileNotFoundError:  # the last to leave has removed the empty folder
            continue
        with file:
            alone = _lock(file.fileno(), path)
            # Whoever had it before has removed the file, and a newcomer locks a new one.
            if alone and not _is_open(path, file.fileno()):
                continue
            try:
                yield alone
            finally:
                path.unlink(missing_ok=True)
            return


def _lock(descriptor: int, path: Path) -> bool:
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process that has locked %s", path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        log.debug("%s cannot be locked: %s", path, error)
        return False
    return True


def _is_open(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def sync(folder: Path) -> None:
    """Have every file below `folder` on the disk before it is moved."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
