"""The progress display of a training run: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_SECONDS_BETWEEN_LINES = 1.0
_SECONDS_BETWEEN_STEP_LINES = 60.0


class Progress:
    """Shows epoch, loss, validation metric, seconds an epoch and the time left, inside a `with`.

    On a terminal two lines are redrawn, and prints and log lines appear above them. Elsewhere an
    epoch is a line: at most about one a second, always the last, and one a minute within an epoch.

    Args:
        epochs: at which the run ends.
        start_epoch: epochs that are done already (a resume).
        metric_name: of the validation metric that is shown.
        console: standard output, unless given.
    """

    def __init__(
        self,
        *,
        epochs: int,
        start_epoch: int = 0,
        metric_name: str,
        console: Console | None = None,
    ) -> None:
        from rich.console import Console

        self._console = console if console is not None else Console()
        self._is_live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._epochs = epochs
        self._metric_name = metric_name
        self._done = start_epoch
        self._step = self._steps = 0
        self._loss: float | None = None
        self._results = ""
        self._time_left = _TimeLeft(epochs - start_epoch)
        self._pending: str | None = None  # the last line that was not worth printing yet
        self._printed = float("-inf")
        self._open = ExitStack()

    def __enter__(self) -> Progress:
        self._time_left.begin(monotonic())
        self._printed = monotonic() - _SECONDS_BETWEEN_LINES
        if self._is_live:
            from rich.live import Live

            live = Live(console=self._console, get_renderable=self._render, refresh_per_second=4)
            self._open.enter_context(live).refresh()
            self._open.enter_context(_logging_through(self._console))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pending is not None:
            self._print(self._pending)
        self._open.close()

    def step(self, done: int, total: int, loss: float) -> None:
        """Tell that `done` of the `total` steps of the current epoch are done."""
        self._step, self._steps, self._loss = done, total, loss
        self._time_left.step(done, total)
        if not self._is_live and monotonic() - self._printed >= _SECONDS_BETWEEN_STEP_LINES:
            self._print(f"{self._epoch()}  step {done}/{total}  loss {loss:.4f}  {self._eta()}")

    def epoch(
        self,
        epoch: int,
        loss: float | None,
        metric: float | None,
        seconds: float,
        *,
        best: float | None,
    ) -> None:
        """Tell the results of a finished epoch; `metric` and `best` are in [0, 1].

        `loss` is None where nothing was trained, `metric` where the epoch was not evaluated,
        `best` where none was yet.
        """
        self._done, self._step, self._loss = epoch, 0, loss
        self._time_left.epoch(monotonic(), self._epochs - epoch)
        valid = "" if metric is None else f"valid {self._metric_name} {100 * metric:.2f} %  "
        so_far = "" if best is None else f"best {100 * best:.2f} %  "
        self._results = f"{valid}{so_far}{seconds:.2f} s/epoch"
        if self._is_live:
            return
        loss_part = "" if loss is None else f"loss {loss:.4f}  "
        line = f"epoch {epoch}/{self._epochs}  {loss_part}{self._results}  {self._eta()}"
        if epoch >= self._epochs or monotonic() - self._printed >= _SECONDS_BETWEEN_LINES:
            self._print(line)
        else:
            self._pending = line

    def _print(self, line: str) -> None:
        if not self._is_live:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._printed = monotonic()
        self._pending = None

    def _epoch(self) -> str:
        return f"epoch {min(self._done + 1, self._epochs)}/{self._epochs}"

    def _eta(self) -> str:
        left = self._time_left.seconds(monotonic())
        return f"ETA {'-:--:--' if left is None else timedelta(seconds=round(left))}"

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        fraction = self._step / self._steps if self._steps else 0.0
        bar = Table.grid(padding=(0, 2), expand=True)
        for _ in range(4):
            bar.add_column(no_wrap=True)
        bar.columns[1].ratio = 1
        bar.add_row(
            self._epoch(),
            ProgressBar(total=max(self._epochs, 1), completed=self._done + fraction),
            f"step {self._step}/{self._steps}" if self._done < self._epochs else "",
            self._eta(),
        )
        loss = "" if self._loss is None else f"loss {self._loss:.4f}"
        return Group(bar, Text(f"{loss}  {self._results}".strip()))


class _TimeLeft:
    """Estimates the rest of a run from the wall time of its last epochs."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._durations: deque[float] = deque(maxlen=10)
        self._began = 0.0
        self._skipped: int | None = None  # steps of the first epoch that an earlier process did
        self._step = self._steps = 0

    def begin(self, now: float) -> None:
        self._began = now

    def step(self, done: int, total: int) -> None:
        if self._skipped is None:
            self._skipped = done - 1
        self._step, self._steps = done, total

    def epoch(self, now: float, epochs: int) -> None:
        if not self._skipped:  # else the epoch was not seen as a whole
            self._durations.append(now - self._began)
        self._began, self._epochs, self._step, self._skipped = now, epochs, 0, 0

    def seconds(self, now: float) -> float | None:
        elapsed = now - self._began
        if self._epochs <= 0:
            return 0.0
        if self._durations:
            an_epoch = sum(self._durations) / len(self._durations)
            return (self._epochs - 1) * an_epoch + max(an_epoch - elapsed, 0.0)
        seen = self._step - (self._skipped or 0)
        if seen <= 0:
            return None
        a_step = elapsed / seen
        return a_step * (self._steps - self._step + (self._epochs - 1) * self._steps)


@contextmanager
def _logging_through(console: Console) -> Iterator[None]:
    """Let log handlers that write to the terminal write above the live display.

    They hold the stream that they were made with, so that rich's own redirection of sys.stdout
    and sys.stderr misses them.
    """
    from rich.file_proxy import FileProxy

    moved = []
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(
            handler, logging.FileHandler
        ):
            stream = handler.stream
            if stream is console.file or getattr(stream, "isatty", lambda: False)():
                handler.setStream(FileProxy(console, stream))
                moved.append((handler, stream))
    try:
        yield
    finally:
        for handler, stream in moved:
            handler.setStream(stream)
