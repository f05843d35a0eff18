"""Text files as people have them: compressed or not, in their encodings and line ends."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
from pathlib import Path

from runner.data.reading.user_file import damaged
from runner.errors import RunnerError

_ZSTD = b"\x28\xb5\x2f\xfd"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
PACKED = (".gz", ".bz2", ".xz", ".zst")


def read_text(
    file: Path, encoding: str | None = None, *, key: str = "dataset.path"
) -> tuple[bytes, str]:
    """The text of a file in UTF-8 with `\\n` at line ends, and the encoding that it had.

    What it is packed by is told by its first bytes.

    Args:
        encoding: as Python names it; None finds UTF-8, UTF-16 and else takes Latin-1.
        key: of the config, which errors name.

    Raises:
        RunnerError: naming the key, if it cannot be read or is no text.
    """
    content = _unpacked(file, key)
    found = encoding or next((name for bom, name in _BOMS if content.startswith(bom)), None)
    try:
        if found is None:
            found = _guess(content)
        elif found in ("utf-8", "utf-8-sig"):
            content = content.removeprefix(codecs.BOM_UTF8)
            content.decode()  # an error here is one of the file
        if found not in ("utf-8", "utf-8-sig"):
            content = content.decode(found).encode()
    except LookupError:
        raise RunnerError(
            f"dataset.encoding={encoding}: no such encoding; give one of Python's, as utf-8"
        ) from None
    except UnicodeDecodeError as error:
        raise RunnerError(
            f"{key}={file}: no text in {found} (byte {error.start}); give dataset.encoding=…"
        ) from None
    if b"\0" in content:
        raise RunnerError(f"{key}={file}: it is no text (it has zero bytes)")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return content, found.removesuffix("-sig")


def _unpacked(file: Path, key: str) -> bytes:
    try:
        content = file.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            return gzip.decompress(content)
        if content.startswith(b"BZh"):
            return bz2.decompress(content)
        if content.startswith(b"\xfd7zXZ\0"):
            return lzma.decompress(content)
        if content.startswith(_ZSTD):
            import pyarrow

            with pyarrow.CompressedInputStream(pyarrow.BufferReader(content), "zstd") as stream:
                return bytes(stream.read())
    except Exception as error:  # what unpacks fails in many types
        raise damaged(key, file, error) from None
    if file.suffix.lower() in PACKED:
        raise RunnerError(
            f"{key}={file}: it is not packed as its name says; rename it, or pack it again"
        )
    return content


def _guess(content: bytes) -> str:
    if content.isascii() and b"\0" not in content[:4096]:
        return "utf-8"
    if b"\0" in content[:4096]:  # UTF-16 without a mark: every second byte of ASCII is zero
        even, odd = content[:4096:2].count(0), content[1:4096:2].count(0)
        half = len(content[:4096]) // 2
        if max(even, odd) > 0.8 * half and min(even, odd) == 0:
            return "utf-16-be" if even > odd else "utf-16-le"
        return "utf-8"  # no text
    try:
        content.decode()
        return "utf-8"
    except UnicodeDecodeError:
        return "latin-1"
