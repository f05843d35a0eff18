"""Files from the web."""

from __future__ import annotations

import sys
from pathlib import Path

_PATIENCE = 60  # seconds without an answer


def download(url: str, folder: Path, known_hash: str | None = None) -> Path:
    """Fetch a file into a folder, under its own name, with a progress bar on a terminal.

    Args:
        known_hash: that it has to have, as `md5:…`; None takes any file.

    Raises:
        OSError: of several types, if the server, the network or the disk fails; part of a file is
            an error too.
        ValueError: if the file is another one.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    fetch = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=_PATIENCE)
    name = url.rpartition("/")[2]
    return Path(
        pooch.retrieve(url, known_hash=known_hash, fname=name, path=folder, downloader=fetch)
    )
