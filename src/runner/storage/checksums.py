"""Caches with checksums of their files, which reveal a flipped bit or a missing end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from runner.storage.files import atomic
from runner.storage.seal import Damaged, sealed_json
from runner.storage.seal import read_json as open_sealed

SEAL = "checksums.json"
_BLOCK = 1 << 20


def digest(*folders: Path) -> str:
    """SHA-256 over the names and contents of all files below `folders`, or the contents of files.

    Raises:
        OSError: if one cannot be read.
    """
    return _digest_json([_digest_files(folder) for folder in folders])


def seal(folder: Path, *, made_of: str) -> None:
    """Record the checksum of every file below `folder`, and what it was made of.

    Args:
        made_of: the digest of the raw files, and behind a blank that of the code, if it matters.
    """
    content = {"made_of": made_of, "files": _digest_files(folder)}
    (folder / SEAL).write_text(json.dumps(content, indent=2))


def broken(folder: Path, *, made_of: str) -> str | None:
    """The reason not to use a sealed folder, as words that follow "it"; None if it is intact."""
    try:
        sealed = json.loads((folder / SEAL).read_text())
        was_made_of, files = sealed["made_of"], dict(sealed["files"])
    except (OSError, ValueError, TypeError, KeyError):
        return f"has no readable {SEAL}"
    if was_made_of != made_of:
        is_of_same_files = was_made_of.split()[:1] == made_of.split()[:1]
        return "was made by other code" if is_of_same_files else "was made of other raw files"
    found = _digest_files(folder)
    found.pop(SEAL)
    wrong = sorted(file for file in files.keys() | found if files.get(file) != found.get(file))
    return f"is damaged ({', '.join(wrong)})" if wrong else None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file with a checksum, and make its folder if it is missing.

    Raises:
        OSError: if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(sealed_json(content))


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of `write_json`.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged.
    """
    try:
        return open_sealed(path.read_text())
    except Damaged as error:
        raise ValueError(f"{path}: {error}") from None


def _digest_files(folder: Path) -> dict[str, str]:
    below = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    paths = [path for path in below if path.is_file()]
    with ThreadPoolExecutor() as pool:
        sums = pool.map(_digest_file, paths)
        return {p.relative_to(folder).as_posix(): s for p, s in zip(paths, sums, strict=True)}


def _digest_file(path: Path) -> str:
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def _digest_json(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
