"""Config-driven experiments in link prediction on graphs.

The public interface; everything else is internal and may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.errors import RunnerError
    from runner.prediction.run import Run, load

    __version__: str

__all__ = ["Run", "RunnerError", "__version__", "load"]

_PLACES = {
    "Run": "runner.prediction.run",
    "RunnerError": "runner.errors",
    "load": "runner.prediction.run",
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
