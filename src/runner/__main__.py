"""The `runner` command, and `python -m runner`."""

from __future__ import annotations

import sys

import runner
from runner.cli import help
from runner.machine import startup
from runner.machine.environment import prepare_environment


def main() -> None:
    """Print the version or the help, or prepare the environment and run the command."""
    if "--version" in sys.argv[1:]:
        print(f"runner {runner.__version__}")
        return
    if help.is_asked_for(sys.argv[1:]):
        help.show_help(sys.argv[1:])
        return
    startup.begin()
    prepare_environment()
    from runner.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
