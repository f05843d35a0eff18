"""Large texts looked through in blocks of bytes, where a regular expression takes a minute."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

_BLOCK = 1 << 22
_COMMENT = re.compile(rb"[ \t]*(#|%|//)")
_MAY_BEGIN = np.isin(np.arange(256), np.frombuffer(b"#%/ \t", np.uint8))
_INSIDE = np.isin(np.arange(256), np.frombuffer(b"0123456789.:-+/TeE", np.uint8))
_ZERO, _NINE, _NEWLINE = b"09\n"


def comment_lines(text: bytes) -> list[tuple[int, int]]:
    """Begin and end of each line that begins with a mark of comments, its line end included."""
    if not any(mark in text for mark in (b"#", b"%", b"//")):
        return []
    found = []
    for begin in _line_begins(text):
        if _COMMENT.match(text, begin):
            end = text.find(b"\n", begin) + 1 or len(text)
            found.append((begin, end))
    return found


def _line_begins(text: bytes) -> Iterator[int]:
    """Where lines begin that may be comments, by their first byte."""
    yield 0
    content = np.frombuffer(text, np.uint8)
    for start in range(0, len(content) - 1, _BLOCK):
        block = content[start : min(start + _BLOCK, len(content) - 1)]
        begins = np.flatnonzero(block == _NEWLINE) + start + 1
        yield from begins[_MAY_BEGIN[content[begins]]].tolist()


def has_leading_zeros(text: bytes) -> bool:
    """Whether a number begins with a zero before another digit; no part of a date or a fraction."""
    content = np.frombuffer(text, np.uint8)
    for start in range(0, len(content) - 1, _BLOCK):
        block = content[start : min(start + _BLOCK, len(content) - 1)]
        zeros = np.flatnonzero(block == _ZERO) + start
        after = content[zeros + 1]
        zeros = zeros[(after >= _ZERO) & (after <= _NINE)]
        if zeros.size and (zeros[0] == 0 or (~_INSIDE[content[zeros - 1]]).any()):
            return True
    return False
