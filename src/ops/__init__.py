"""Operators on graphs. `Graph` is public; the rest is internal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.ops.csr import Graph

__all__ = ["Graph"]


def __getattr__(name: str) -> Any:
    if name != "Graph":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runner.ops.csr import Graph  # slow to import

    return Graph
