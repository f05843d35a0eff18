"""Checksums inside a file, which reveal damage at any place of it."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.errors import RunnerError

_LAST_KEY, _END = ',\n  "sha256": "', "\n}\n"  # as `sealed_json` writes them
_LAST_LINE = "# sha256 of the lines above: "
_COMMENT = b"sha256:"  # of a zip archive
_COMMENT_BYTES = len(_COMMENT) + 64


class Damaged(RunnerError):
    """A file of a run has changed since it was written."""


def sealed_json(content: Mapping[str, Any]) -> str:
    """JSON whose last key, `sha256`, is the checksum of the text without this key."""
    plain = {key: value for key, value in content.items() if key != "sha256"}
    return _json({**plain, "sha256": _digest(_json(plain))})


def read_json(text: str) -> dict[str, Any]:
    """The content of a text of `sealed_json`, without the checksum.

    Raises:
        Damaged: if a character has changed.
    """
    try:
        content = json.loads(text)
        del content["sha256"]
        plain, found, _ = text.rpartition(_LAST_KEY)
        sealed = f'{plain}{_LAST_KEY}{_digest(plain + _END)}"{_END}' if found else sealed_json({})
        intact = sealed == text
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise Damaged("its checksum does not fit")
    return content


def sealed_lines(text: str) -> str:
    """Lines of YAML (or another format with such comments), and their checksum as a last line."""
    return f"{text}{_LAST_LINE}{_digest(text)}\n"


def read_lines(text: str) -> str:
    """The lines of a text of `sealed_lines`, without the checksum.

    Raises:
        Damaged: if a character has changed.
    """
    lines, found, _ = text.rpartition(_LAST_LINE)
    if not found or sealed_lines(lines) != text:
        raise Damaged("its checksum does not fit")
    return lines


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def seal_archive(path: Path) -> None:
    """Add the SHA-256 of all other bytes to a zip archive, as the comment at its end."""
    with open(path, "r+b") as file:
        file.seek(-2, os.SEEK_END)  # the length of the comment, in the archive's last record
        file.write(struct.pack("<H", _COMMENT_BYTES))
        file.flush()
        digest = _digest_of_file(path, file.tell())
        file.write(_COMMENT + digest.encode())


def verify_archive(path: Path) -> None:
    """Check an archive of `seal_archive`.

    Raises:
        Damaged: if a byte has changed, or the archive was never sealed.
    """
    size = path.stat().st_size - _COMMENT_BYTES
    if _last_bytes(path) != _COMMENT + _digest_of_file(path, size).encode():
        raise Damaged("its checksum does not fit")


def seal_of(path: Path) -> str:
    """The SHA-256 that the seal of an archive states; its other bytes are not read."""
    return _last_bytes(path).removeprefix(_COMMENT).decode(errors="replace")


def has_seal(path: Path) -> bool:
    """Whether a file ends with the seal of an archive; its other bytes are not read."""
    return _last_bytes(path).startswith(_COMMENT)


def _last_bytes(path: Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(path.stat().st_size - _COMMENT_BYTES, 0))
        return file.read()


def _digest_of_file(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while size > 0:
            block = file.read(min(size, 1 << 20))
            if not block:
                break
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()
