"""The `runner` command, and `python -m runner`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from runner.machine.environment import prepare_environment

_ANEW = "runner_anew"


def main() -> None:
    """Run the command in a process that has had its environment from the beginning."""
    if prepare_environment() and _ANEW not in sys._xoptions and _is_all_there_is():
        with suppress(OSError, ValueError):  # it runs without, too
            os.execv(sys.executable, [sys.executable, f"-X{_ANEW}", *sys.orig_argv[1:]])
    from runner.cli.main import main as command

    command()


def _is_all_there_is() -> bool:
    """Whether Python was started for the command, not for a debugger or a script around it."""
    command = Path(sys.argv[0]).name
    own = sys.argv if command == "runner" else ["-m", "runner", *sys.argv[1:]]
    first = len(sys.orig_argv) - len(own)
    options = sys.orig_argv[1:first]
    return (
        bool(sys.executable)
        and command in ("runner", "__main__.py")
        and first > 0
        and sys.orig_argv[first:] == own
        and all(o.startswith("-") and not o.startswith(("-m", "-c")) for o in options)
    )


if __name__ == "__main__":
    main()
