"""Nested data as one level of keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(content: Mapping[str, Any], separator: str, prefix: str = "") -> dict[str, Any]:
    """`{"valid": {"mrr": 0.5}}` as `{"valid/mrr": 0.5}` with the separator "/".

    Lists stay as they are; an empty mapping leaves nothing.
    """
    found: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            found.update(flat(value, separator, f"{prefix}{name}{separator}"))
        else:
            found[f"{prefix}{name}"] = value
    return found
