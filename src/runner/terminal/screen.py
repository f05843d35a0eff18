"""A terminal with a display at its foot and everybody's output above it."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PAUSE = 100  # milliseconds between two looks at whether it is over
_STDOUT, _STDERR = 1, 2


def is_terminal() -> bool:
    """Whether standard output is a terminal that can be redrawn."""
    from rich.console import Console

    console = Console()
    return console.is_terminal and not console.is_dumb_terminal and os.isatty(_STDOUT)


@contextmanager
def drawn(render: Callable[[], RenderableType], *, seconds: float) -> Iterator[None]:
    """Draw what `render` returns time and again, inside the `with`; it is gone afterwards.

    What this process and those that it starts write to the terminal goes through a pipe meanwhile
    and appears above, line by line. Those processes see that they have no terminal, and leave
    displays of their own. Errors of the terminal are ignored.
    """
    out, into = os.pipe()
    terminal = os.fdopen(os.dup(_STDOUT), "w", encoding=sys.stdout.encoding, errors="replace")
    kept = {fd: os.dup(fd) for fd in (_STDOUT, _STDERR) if os.isatty(fd)}
    over = threading.Event()
    screen = _Screen(render, out, terminal, over, seconds)
    thread = threading.Thread(target=screen.work, daemon=True)
    thread.start()
    _flush()
    try:
        for fd in kept:
            os.dup2(into, fd)
        os.close(into)
        yield
    finally:
        _flush()
        for fd, original in kept.items():
            os.dup2(original, fd)
            os.close(original)
        over.set()
        thread.join()
        os.close(out)
        with suppress(OSError):
            terminal.close()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


class _Screen:
    """What the thread does that has the terminal."""

    def __init__(
        self,
        render: Callable[[], RenderableType],
        out: int,
        terminal: IO[str],
        over: threading.Event,
        seconds: float,
    ) -> None:
        self._render = render
        self._out = out
        self._terminal = terminal
        self._over = over
        self._seconds = seconds
        self._rest = b""  # of a line that has not ended

    def work(self) -> None:
        with suppress(Exception, SystemExit):
            self._draw()
        # Nobody may have to wait with a full pipe, though the terminal be gone.
        for piece in self._pieces():
            with suppress(OSError):
                os.write(self._terminal.fileno(), self._rest + piece)
            self._rest = b""

    def _draw(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._terminal)
        self._measure(console)
        heard = drawn = float("-inf")
        with Live(
            console=console, auto_refresh=False, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        ) as live:  # fmt: skip
            console.show_cursor()  # which a process that is killed could not bring back
            for piece in self._pieces():
                now = time.monotonic()
                heard = now if piece else heard
                is_waiting = self._rest and now - heard >= self._seconds  # as for an answer
                self._print(b"\n" if is_waiting else piece, console)
                if now - drawn >= self._seconds:
                    drawn = now
                    self._measure(console)
                    live.update(self._render(), refresh=True)
        if self._rest:
            self._print(b"\n", console)

    def _pieces(self) -> Iterator[bytes]:
        """What is written to the pipe, b"" where nothing is, until it is over."""
        poll = select.poll()  # unlike `select.select`, for any number of open files
        poll.register(self._out, select.POLLIN)
        while True:
            is_over = self._over.is_set()  # what was written before is in the pipe
            piece = os.read(self._out, 1 << 16) if poll.poll(0 if is_over else _PAUSE) else b""
            if is_over and not piece:
                return
            yield piece

    def _print(self, piece: bytes, console: Console) -> None:
        from rich.text import Text

        whole, newline, self._rest = (self._rest + piece).rpartition(b"\n")
        if newline:
            console.print(Text.from_ansi(whole.decode(errors="replace")), soft_wrap=True)

    def _measure(self, console: Console) -> None:
        with suppress(OSError):
            columns, rows = os.get_terminal_size(self._terminal.fileno())
            if columns > 2 and rows:  # some terminals say nothing
                console.size = (columns - 2, rows)  # there is room for an echoed ^C
