"""Cora, CiteSeer and PubMed in the raw files of Planetoid (Yang et al. 2016)."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path

import torch

from runner.data.link_data import LinkData, link_data
from runner.data.splits import RandomSplit
from runner.errors import RunnerError
from runner.run_folder import discard_empty, existing

log = logging.getLogger(__name__)

_PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")


def planetoid(*, name: str, root: str, split: RandomSplit) -> LinkData:
    """One of the three citation graphs, features as stored (no row normalisation).

    The raw files are read from `root`/planetoid/<name>/raw, which may be read-only, and downloaded
    to there by PyG when they are missing.

    Raises:
        RunnerError: if files are missing and cannot be downloaded, or cannot be read.
    """
    from torch_geometric.io import read_planetoid_data

    folder = Path(root).expanduser() / "planetoid" / name / "raw"
    files = [f"ind.{name.lower()}.{part}" for part in _PARTS]
    if not all((folder / file).is_file() for file in files):
        _download(name, folder, files)
    try:
        data = read_planetoid_data(str(folder), name.lower())
    except Exception as error:  # pickles fail in many ways
        raise RunnerError(
            f"dataset.root={root}: the raw files in {folder} cannot be read "
            f"({type(error).__name__}: {error}); delete them to download them again"
        ) from error
    train, valid, test = split.split(data.edge_index, data.num_nodes)
    features = data.x.to(torch.float32)
    return link_data(
        num_nodes=data.num_nodes, features=features, train=train, valid=valid, test=test
    )


def _download(name: str, folder: Path, files: list[str]) -> None:
    from torch_geometric.datasets import Planetoid

    log.info("downloading %s to %s", name, folder)
    before = existing(folder)
    try:
        # PyG reports its progress on stderr; ours is one line.
        with contextlib.redirect_stderr(io.StringIO()):
            Planetoid(str(folder.parent.parent), name)
    except Exception as error:  # network, disk, server: in many types
        discard_empty(folder, keep=before)
        raise RunnerError(
            f"dataset={name.lower()}: the dataset is not in {folder} and cannot be downloaded "
            f"({type(error).__name__}); put the files {', '.join(files)} there, or point "
            "dataset.root (or RUNNER_DATA) at a folder that has planetoid/"
            f"{name}/raw"
        ) from None
