"""Link prediction on graphs: `run` trains, `load` opens a trained run, `compare` reads many.

The names below, `runner.models` and `runner.ops` are the public interface; everything else is
internal and may change. A name is imported at its first use: `import runner` imports neither torch
nor pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.cli.in_process import run
    from runner.comparison.frame import compare
    from runner.errors import RunnerError
    from runner.prediction.run import Run, load

    __version__: str

__all__ = ["Run", "RunnerError", "__version__", "compare", "load", "run"]

_PLACES = {
    "Run": "runner.prediction.run",
    "RunnerError": "runner.errors",
    "compare": "runner.comparison.frame",
    "load": "runner.prediction.run",
    "run": "runner.cli.in_process",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version  # slow to import

        return version("link-runner")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
