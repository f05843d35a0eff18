"""A progress bar that shares its terminal with prints and log lines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TextIO, cast

from rich.console import Console, RenderableType
from rich.file_proxy import FileProxy
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text


class Bar(Progress):
    """A label, a bar and the time left, above a line of text; drawn only inside `drawn`.

    Args:
        total: amount of work.
        completed: work that is done already.
    """

    def __init__(self, console: Console, *, total: int, completed: int) -> None:
        self.text = ""
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            "ETA",
            TimeRemainingColumn(),
            console=console,
            refresh_per_second=4,
            redirect_stderr=sys.stderr.isatty(),
            speed_estimate_period=float("inf"),  # a step or a job may take hours
            get_time=monotonic,
        )
        self.add_task("", total=total, completed=completed)
        (self.task,) = self.tasks
        self.advance(self.task.id, 0)  # speed is measured from now on

    def show(self, label: str, text: str) -> None:
        self.text = text
        self.update(self.task.id, description=label)

    @property
    def time_left(self) -> str:
        return f"ETA {TimeRemainingColumn().render(self.task)}"

    def get_renderables(self) -> Iterable[RenderableType]:
        return self.make_tasks_table(self.tasks), Text(self.text)


@contextmanager
def drawn(bar: Bar) -> Iterator[None]:
    """Draw the bar inside the `with`, if its console is a terminal; output appears above it."""
    if not bar.console.is_interactive:
        yield
        return
    # rich redirects sys.stdout, but a log handler holds the stream that it was made with.
    moved = [
        (handler, handler.stream)
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler)
        and not isinstance(handler, logging.FileHandler)
        and (handler.stream is bar.console.file or handler.stream.isatty())
    ]
    with bar:
        bar.console.show_cursor()  # a killed process could not bring it back
        for handler, stream in moved:
            handler.setStream(cast("TextIO", FileProxy(bar.console, stream)))
        try:
            yield
        finally:
            for handler, stream in moved:
                handler.setStream(stream)
            for proxy in (sys.stdout, sys.stderr):
                proxy.flush()
