"""The start of a command: a million objects come and stay, and the collector looks at them all."""

from __future__ import annotations

import gc

_begun = False


def begin() -> None:
    """Switch the collector of cycles off, until :func:`end`; for commands alone.

    Modules, configs and kernels are loaded then, of which nothing is garbage. Without the collector
    that takes three quarters of the time (docs/performance.md).
    """
    global _begun
    if gc.isenabled():
        gc.disable()
        _begun = True


def end() -> None:
    """Switch the collector on again, if :func:`begin` has switched it off."""
    global _begun
    if _begun:
        gc.enable()
        _begun = False
