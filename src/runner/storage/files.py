"""Files that a kill leaves whole, and removal of folders without content."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; on success it is synced and replaces `path`."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def create(path: Path, text: str) -> None:
    """Create a file; on file systems with hard links it appears whole or not at all.

    Raises:
        FileExistsError: if it exists already.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            with open(path, "x") as file:
                file.write(text)
    finally:
        os.unlink(temporary)


def sync_folder(path: Path) -> None:
    """Sync the names in a folder to the disk; some file systems cannot."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def discard_empty(path: Path, *, keep: Collection[Path]) -> None:
    """Remove an empty folder and its empty parents, up to a folder in `keep`."""
    for folder in (path, *path.parents):
        if folder in keep:
            return
        try:
            folder.rmdir()
        except OSError:
            return


def existing(path: Path) -> set[Path]:
    """The existing ones among a folder and its parents."""
    path = Path(os.path.abspath(path))  # as Hydra names it, without ".."
    return {folder for folder in (path, *path.parents) if folder.exists()}
