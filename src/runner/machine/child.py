"""Functions that read files in a child process.

Where compiled code crashes or hangs on a damaged file, the child alone ends; its memory goes back
to the system.
"""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from collections.abc import Callable

from runner.errors import RunnerError

_TOLD = 3  # exit code after a RunnerError


def call_in_child(
    function: Callable[..., bytes | None], *arguments: str, seconds: float | None = None
) -> bytes:
    """Call a module's function in a child process.

    Args:
        seconds: time limit.

    Returns:
        The bytes that it returns.

    Raises:
        RunnerError: if the function raises it, with the same text.
        MemoryError: if the child was killed.
        ValueError: if the function fails otherwise, in its words, crashes or exceeds the time.
    """
    # Set like this, the path lacks the working folder, whose files would hide modules.
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; from runner.machine import child; child.main()"
    )
    command = [sys.executable, "-c", program, function.__module__, function.__name__, *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"it could not be read in {seconds:.0f} seconds") from None
    if done.returncode == -signal.SIGKILL:
        raise MemoryError("the process that reads it was killed, often for want of memory")
    if done.returncode < 0:
        raise ValueError(f"reading it crashed: {signal.strsignal(-done.returncode)}")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        error = RunnerError if done.returncode == _TOLD else ValueError
        raise error(said[-1] if said else f"exit code {done.returncode}")
    return done.stdout


def main() -> None:
    module, name, *arguments = sys.argv[1:]
    try:
        result = getattr(importlib.import_module(module), name)(*arguments)
    except Exception as error:  # readers fail in many types
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        print(text.replace("\n", " "), file=sys.stderr)
        raise SystemExit(_TOLD if isinstance(error, RunnerError) else 1) from None
    sys.stdout.buffer.write(result or b"")
