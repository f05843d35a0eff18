"""Folders that are made once and then read by many: whole, of the right sources, and undamaged."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from runner.errors import RunnerError
from runner.storage.checksums import broken, seal
from runner.storage.workshop import workshop

log = logging.getLogger(__name__)

T = TypeVar("T")
_LONG = 1.0  # seconds


class UnwritableCache(RunnerError):
    """Nothing can be written to the cache."""


def make_once(
    kept: Path, *, made_of: str, make: Callable[[Path], None], read: Callable[[Path], T], what: str
) -> T:
    """What is read of a folder in the cache, which the first of several processes makes.

    Args:
        kept: the folder.
        made_of: digests of what it is made of; a folder of others is made anew.
        make: fills an empty folder.
        read: reads a filled one.
        what: is made, for the log.

    Raises:
        UnwritableCache: if nothing can be written there.
    """
    found, _ = _look(kept, made_of, read)
    if found is not None:
        return found
    with contextlib.ExitStack() as stack:
        try:
            working = stack.enter_context(workshop(kept))
        except OSError as error:
            raise UnwritableCache(
                f"run.cache={kept.parent.parent}: it cannot be written ({error.strerror}); choose "
                "another place with run.cache=… or RUNNER_CACHE"
            ) from None
        found, reason = _look(kept, made_of, read)
        if found is not None:
            return found
        if reason is not None:
            log.warning("the cache %s %s and is made anew", kept, reason)
            shutil.rmtree(kept, ignore_errors=True)
        with _told_if_long("%s is processed, once, into %s", what, kept):
            make(working)
        seal(working, made_of=made_of)
        made = read(working)  # its pages stay where they are when the folder is moved
        # Without locks, of two processes that make it at once one is too late, which is no loss.
        with contextlib.suppress(OSError):
            os.rename(working, kept)
        return made


@contextlib.contextmanager
def _told_if_long(message: str, *values: object) -> Iterator[None]:
    """Log what takes long while it does; what is refused at once needs no word of it."""
    told = threading.Timer(_LONG, log.info, (message, *values))
    told.daemon = True
    told.start()
    try:
        yield
    finally:
        told.cancel()


def _look(kept: Path, made_of: str, read: Callable[[Path], T]) -> tuple[T | None, str | None]:
    """What is in the cache, or why it is of no use; neither where there is none."""
    if not kept.is_dir():
        return None, None
    try:
        reason = broken(kept, made_of=made_of)
        return (read(kept), None) if reason is None else (None, reason)
    except Exception as error:  # a cache that fails is made anew, whatever it is
        return None, f"cannot be read ({error})"
