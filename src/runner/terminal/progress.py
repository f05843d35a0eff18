"""The progress display of a training run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from contextlib import ExitStack
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from runner.terminal.bar import Bar, drawn
from runner.terminal.console import lenient_console

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS_BETWEEN_LINES = 1.0
_SECONDS_BETWEEN_STEP_LINES = 60.0
_SAMPLES_PER_EPOCH = 20  # rich keeps 1000, which have to span whole epochs with their evaluation


class Progress:
    """Shows epoch, loss, validation metric, seconds an epoch and the time left, inside a `with`.

    On a terminal a bar is redrawn. Elsewhere an epoch is a line: at most about one a second, always
    the last, and one a minute within an epoch.

    Args:
        epochs: number of the last epoch.
        start_epoch: epochs that are done already (a resume).
        metric_name: name of the validation metric.
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
        self._console = console or lenient_console()
        self._bar = Bar(self._console, total=epochs, completed=start_epoch)
        self._epochs = epochs
        self._metric_name = metric_name
        self._done = start_epoch
        self._has_stepped = False
        self._results = ""
        self._pending: str | None = None  # line of the last epoch, while it came too fast
        self._printed = monotonic() - _SECONDS_BETWEEN_LINES
        self._open = ExitStack()

    def __enter__(self) -> Progress:
        self._bar.show(self._label(self._done + 1), "")
        self._open.enter_context(drawn(self._bar))
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
        """Show that `done` of the `total` steps of the current epoch are done."""
        if not self._has_stepped:  # an earlier process did the steps before this one
            self._has_stepped = True
            self._bar.task.completed = self._done + (done - 1) / total
        if done * _SAMPLES_PER_EPOCH % total < _SAMPLES_PER_EPOCH:
            self._bar.update(self._bar.task.id, completed=self._done + done / total)
        label, text = self._label(self._done + 1), f"step {done}/{total}  loss {loss:.4f}"
        self._bar.show(label, f"{text}  {self._results}")
        if monotonic() - self._printed >= _SECONDS_BETWEEN_STEP_LINES:
            self._print(f"{label}  {text}  {self._bar.time_left}")

    def epoch(
        self,
        epoch: int,
        loss: float | None,
        metric: float | None,
        seconds: float,
        *,
        best: float | None,
    ) -> None:
        """Show the results of a finished epoch.

        Args:
            loss: None where nothing was trained.
            metric: validation metric in [0, 1]; None where the epoch was not evaluated.
            seconds: duration of the epoch.
            best: metric of the best epoch so far; None where none was evaluated.
        """
        self._done = epoch
        valid = "" if metric is None else f"valid {self._metric_name} {100 * metric:.2f} %  "
        so_far = "" if best is None else f"best {100 * best:.2f} %  "
        self._results = f"{valid}{so_far}{seconds:.2f} s/epoch"
        label = self._label(epoch)
        text = self._results if loss is None else f"loss {loss:.4f}  {self._results}"
        self._bar.show(label, text)
        # A sample too where no step is left: the evaluation has taken its time.
        self._bar.advance(self._bar.task.id, epoch - self._bar.task.completed)
        self._pending = f"{label}  {text}  {self._bar.time_left}"
        if monotonic() - self._printed >= _SECONDS_BETWEEN_LINES:
            self._print(self._pending)

    def _label(self, epoch: int) -> str:
        return f"epoch {min(epoch, self._epochs)}/{self._epochs}"

    def _print(self, line: str) -> None:
        if not self._console.is_interactive:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._printed = monotonic()
        self._pending = None
