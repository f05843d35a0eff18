"""A file that shares tensors among the processes of a machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

_SHARED_MEMORY = Path("/dev/shm")
_PREFIX = "runner-"


@contextmanager
def stored(value: object) -> Iterator[Path]:
    """A file with ``value`` inside the `with`: in memory, or on the disk if memory is short.

    Processes that have mapped it keep its memory. Files of killed processes are removed first.
    """
    for folder in (_SHARED_MEMORY, Path(tempfile.gettempdir())):
        for left in folder.glob(f"{_PREFIX}*.pt"):
            pid = left.name.removeprefix(_PREFIX).partition("-")[0]
            if pid.isdecimal() and not psutil.pid_exists(int(pid)):
                left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{_PREFIX}{os.getpid()}-", suffix=".pt")
    os.close(handle)
    path = Path(name)
    try:
        torch.save(value, path)
        size = path.stat().st_size
        if _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > 2 * size:
            path = Path(shutil.move(path, _SHARED_MEMORY))
        yield path
    finally:
        path.unlink(missing_ok=True)
