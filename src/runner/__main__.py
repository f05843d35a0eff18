"""The `runner` command, and `python -m runner`."""

from __future__ import annotations

import os
import sys

from runner.environment import prepare_environment


def main() -> None:
    """Run the command in a process that has had its environment from the beginning."""
    if prepare_environment() and sys.gettrace() is None:  # a debugger would lose us
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    from runner.cli import main as command

    command()


if __name__ == "__main__":
    main()
