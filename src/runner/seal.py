"""Checksums within a record's own text, so that damage is noticed wherever it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from runner.errors import RunnerError

_LAST_LINE = "# sha256 of the lines above: "


class Damaged(RunnerError):
    """A file of a run is not as it was written."""


def sealed_json(content: Mapping[str, Any]) -> str:
    """JSON whose last key, `sha256`, is that of the text without it."""
    plain = {key: value for key, value in content.items() if key != "sha256"}
    return _json({**plain, "sha256": _digest(_json(plain))})


def read_json(text: str) -> dict[str, Any]:
    """The content of `sealed_json`'s text, without the checksum.

    Raises:
        Damaged: if a character differs from what was written.
    """
    try:
        content = json.loads(text)
        del content["sha256"]
        intact = sealed_json(content) == text
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise Damaged("its checksum does not fit")
    return content


def sealed_lines(text: str) -> str:
    """Lines of YAML, or anything with such comments, and a last line that is their checksum."""
    return f"{text}{_LAST_LINE}{_digest(text)}\n"


def read_lines(text: str) -> str:
    """The lines of `sealed_lines`' text, without the checksum.

    Raises:
        Damaged: if a character differs from what was written.
    """
    lines, found, _ = text.rpartition(_LAST_LINE)
    if not found or sealed_lines(lines) != text:
        raise Damaged("its checksum does not fit")
    return lines


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
