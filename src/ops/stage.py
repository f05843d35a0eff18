"""Name the stages of the work, for whoever measures them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from torch.profiler import record_function

_observer: Callable[[str], AbstractContextManager[None]] | None = None


@contextmanager
def stage(name: str) -> Iterator[None]:
    """What runs within belongs to the stage ``name``; stages may be nested. Free if unobserved."""
    if _observer is None:
        yield
        return
    with record_function(name), _observer(name):
        yield


@contextmanager
def observed(observer: Callable[[str], AbstractContextManager[None]]) -> Iterator[None]:
    """Within, every stage runs inside ``observer(name)``, and shows in traces of torch.profiler."""
    global _observer
    before, _observer = _observer, observer
    try:
        yield
    finally:
        _observer = before
