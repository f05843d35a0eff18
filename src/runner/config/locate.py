"""Classes and functions by dotted path, with one sentence where there is none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any


def locate(path: Any) -> Callable[..., Any]:
    """Import what a dotted path names.

    Raises:
        ValueError: if there is no such class or function.
    """
    import hydra.utils

    if not isinstance(path, str):
        raise ValueError(f"{path!r} is not the dotted path of a class")
    log = logging.getLogger("hydra.utils")  # it would say the same in lines of its own
    log.disabled = True
    try:
        found = hydra.utils.get_object(path)
    except Exception as error:
        reason = next(iter(str(error.__cause__ or error).splitlines()), "")
        raise ValueError(f"{path!r} cannot be imported ({reason or 'it does not exist'})") from None
    finally:
        log.disabled = False
    if not callable(found):
        raise ValueError(f"{path!r} is not a class or function")
    return found
