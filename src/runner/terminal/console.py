"""Consoles of rich that end no run, and a terminal that child processes leave alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console

_STDOUT, _STDERR = 1, 2


def lenient_console() -> Console:
    """A console on standard output, whose terminal or pipe may go away before the run ends."""
    from rich.console import Console

    return Console(
        file=cast("IO[str]", _LenientStream(sys.stdout)),
        # Plain lines in a notebook: it claims to be a terminal (FORCE_COLOR), and is none.
        force_interactive=None if sys.stdout.isatty() else False,
        force_jupyter=False,
    )


@contextmanager
def terminal_kept(console: Console, path: Path) -> Iterator[None]:
    """Append to a file what this process and its children write to the terminal.

    Args:
        console: keeps the terminal inside the `with`.
    """
    terminal = os.fdopen(os.dup(_STDOUT), "w", encoding=sys.stdout.encoding, errors="replace")
    originals = {fd: os.dup(fd) for fd in (_STDOUT, _STDERR) if os.isatty(fd)}
    file, console.file = console.file, cast("IO[str]", _LenientStream(terminal))
    try:
        with open(path, "a") as output:
            for fd in originals:
                os.dup2(output.fileno(), fd)
        yield
    finally:
        console.file = file
        for fd, original in originals.items():
            os.dup2(original, fd)
            os.close(original)
        with suppress(OSError):
            terminal.close()


class _LenientStream:
    """A text stream that drops an output which fails."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        with self._lenient():
            self._stream.write(text)

    def flush(self) -> None:
        with self._lenient():
            self._stream.flush()

    @contextmanager
    def _lenient(self) -> Iterator[None]:
        with suppress(OSError):
            try:
                yield
            except BrokenPipeError:
                # Prints that come later do not fail either.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
