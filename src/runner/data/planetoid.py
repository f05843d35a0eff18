"""Cora, CiteSeer and PubMed in the raw files of Planetoid (Yang et al. 2016)."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

import torch

from runner.data.link_data import LinkData, link_data
from runner.data.pickles import Refused, prove_harmless
from runner.data.splits import RandomSplit
from runner.errors import RunnerError
from runner.keys import Folder
from runner.storage.workshop import sync, workshop

log = logging.getLogger(__name__)

Name = Literal["Cora", "CiteSeer", "PubMed"]
_PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")


def planetoid(*, name: Name, root: Folder, split: RandomSplit) -> LinkData:
    """One of the three citation graphs, features as stored (no row normalisation).

    The raw files are read from `root`/planetoid/<name>/raw, which may be read-only, and downloaded
    to there by PyG when they are missing.

    Raises:
        RunnerError: if files are missing and cannot be downloaded, cannot be read, or hold more
            than numbers: they are pickles, which could run code.
    """
    folder = Path(root).expanduser() / "planetoid" / name / "raw"
    files = [f"ind.{name.lower()}.{part}" for part in _PARTS]
    if not _complete(folder, files):
        _download(name, folder, files)
    data = _read(name, root, folder, files)
    train, valid, test = split.split(data.edge_index, data.num_nodes)
    features = data.x.to(torch.float32)
    return link_data(
        num_nodes=data.num_nodes, features=features, train=train, valid=valid, test=test
    )


def _complete(folder: Path, files: list[str]) -> bool:
    return all((folder / file).is_file() for file in files)


def _read(name: str, root: str, folder: Path, files: list[str]) -> Any:
    """The graph as PyG reads it, from a copy of exactly the bytes that were found harmless."""
    from torch_geometric.io import read_planetoid_data

    with tempfile.TemporaryDirectory(prefix="runner-") as copy:
        for file in files:
            (Path(copy) / file).write_bytes(_harmless(root, folder / file))
        try:
            data = read_planetoid_data(copy, name.lower())
            low, high = (int(bound) for bound in data.edge_index.aminmax())
            if low < 0 or high >= data.num_nodes:
                raise ValueError(f"nodes {low} to {high} in a graph of {data.num_nodes}")
        except Exception as error:  # what does not fit together fails in many ways
            raise _damaged(root, folder, error) from error
    return data


def _harmless(root: str, file: Path) -> bytes:
    try:
        content = file.read_bytes()
        if file.suffix != ".index":
            prove_harmless(content)
    except Refused as refused:
        raise RunnerError(
            f"dataset.root={root}: {file} is refused, for reading it could run code: it asks for "
            f"{refused}, which no dataset of this kind needs; delete it to download it again, and "
            "mistrust where it came from"
        ) from None
    except Exception as error:  # pickles fail in many ways
        raise _damaged(root, file.parent, error, f"{file.name}: ") from error
    return content


def _damaged(root: str, folder: Path, error: Exception, file: str = "") -> RunnerError:
    return RunnerError(
        f"dataset.root={root}: the raw files in {folder} cannot be read "
        f"({file}{type(error).__name__}: {error}); delete them to download them again"
    )


def _download(name: str, folder: Path, files: list[str]) -> None:
    from torch_geometric.datasets import Planetoid

    try:
        # PyG reports its progress on stderr; ours is one line.
        with workshop(folder) as working, contextlib.redirect_stderr(io.StringIO()):
            if _complete(folder, files):
                return
            log.info("downloading %s to %s", name, folder)
            # Its constructor would unpickle what it has downloaded.
            dataset = Planetoid.__new__(Planetoid)
            dataset.root, dataset.name, dataset.split = str(working), name, "public"
            new = Path(dataset.raw_dir)
            new.mkdir(parents=True)
            dataset.download()
            if not _complete(new, files):
                raise FileNotFoundError("the download lacks files")
            sync(new)
            folder.mkdir(exist_ok=True)
            for file in files:
                os.replace(new / file, folder / file)
    except Exception as error:  # network, disk, server: in many types
        raise RunnerError(
            f"dataset={name.lower()}: the dataset is not in {folder} and cannot be downloaded "
            f"({type(error).__name__}); put the files {', '.join(files)} there, or point "
            "dataset.root (or RUNNER_DATA) at a folder that has planetoid/"
            f"{name}/raw"
        ) from None
