"""Python's collector of cycles at the start of a command, which loads what stays."""

from __future__ import annotations

import gc

_begun = _frozen = False


def begin() -> None:
    """Switch the collector of cycles off, until :func:`end`; for commands alone.

    Modules, configs and kernels are loaded then, of which nothing is garbage. Without the collector
    that takes two thirds of the time (docs/performance.md).
    """
    global _begun
    if gc.isenabled():
        gc.disable()
        _begun = True


def end() -> None:
    """Switch the collector on, if :func:`begin` has switched it off; it skips what there is."""
    global _begun, _frozen
    if _begun:
        gc.freeze()
        gc.enable()
        _begun, _frozen = False, True


def thaw() -> None:
    """Let the collector look at all again: what a finished run leaves may be garbage."""
    global _frozen
    end()  # of a run that failed before its first step
    if _frozen:
        gc.unfreeze()
        _frozen = False
