"""Files and folders that several processes want, made by one of them and never half there."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runner.storage.files import discard_empty, existing
from runner.storage.locks import alone


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
        with locked(final.with_name(f".{final.name}.lock")) as is_alone:
            if is_alone:
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
    with contextlib.ExitStack() as stack:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            # The last to leave may have removed the empty folder.
            with contextlib.suppress(FileNotFoundError):
                is_alone = stack.enter_context(alone(path))
                break
        try:
            yield is_alone
        finally:
            path.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Have every file below `folder` on the disk before it is moved."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
