"""HeaRT's files from its archive: `python -m runner.data.heart_archive <root>`."""

from __future__ import annotations

import argparse
import os
import sys
import tarfile
from pathlib import Path, PurePosixPath

from runner.errors import RunnerError
from runner.storage.download import download
from runner.storage.workshop import sync, workshop

URL = "https://zenodo.org/records/22184581/files/HeaRT.tar.gz"  # 880,240,878 bytes
HASH = "md5:d5086c7456ee98892af00ce00816aba1"
NAMES = ("cora", "citeseer", "pubmed")
LINKS = tuple(f"{part}_pos.txt" for part in ("train", "valid", "test"))


def negatives(own: bool) -> tuple[str, ...]:
    """The files of the negatives of validation and test."""
    pattern = "heart_{}_samples.npy" if own else "{}_neg.txt"
    return tuple(pattern.format(part) for part in ("valid", "test"))


FILES = (*LINKS, *negatives(True), *negatives(False))


def fetch(root: Path) -> list[Path]:
    """Download the archive and unpack those files of the small graphs that are not there yet.

    Raises:
        RunnerError: if the archive does not come whole, or nothing can be written.
    """
    heart = root.expanduser() / "heart"
    try:
        with workshop(heart) as working:
            new = _unpack(download(URL, working, HASH), working, heart)
            sync(working)
            for file in new:
                place = heart / file.relative_to(working)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, place)
    except Exception as error:  # network, disk, server, archive: in many types
        raise RunnerError(
            f"{URL} cannot be downloaded to {heart} ({type(error).__name__}: {error}); fetch it "
            f"elsewhere and put its folders {', '.join(NAMES)} there, each with "
            f"{', '.join(FILES)}"
        ) from None
    return [heart / file.relative_to(working) for file in new]


def _unpack(archive: Path, working: Path, heart: Path) -> list[Path]:
    new = []
    with tarfile.open(archive) as content:
        for member in content:
            name, file = ("", *PurePosixPath(member.name).parts)[-2:]
            wanted = member.isfile() and name in NAMES and file in FILES
            if not wanted or (heart / name / file).exists():
                continue
            member.name = f"{name}/{file}"
            content.extract(member, working, filter="data")
            new.append(working / name / file)
    return new


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m runner.data.heart_archive",
        description=f"Download HeaRT's archive (880 MB, {URL}) and unpack the files of "
        f"{', '.join(NAMES)} that are missing.",
    )
    parser.add_argument("root", type=Path, help="dataset.root, which gets the folder heart")
    try:
        new = fetch(parser.parse_args().root)
    except RunnerError as error:
        sys.exit(str(error))
    print("\n".join(map(str, new)) or "nothing was missing")


if __name__ == "__main__":
    main()
