"""Cora, CiteSeer and PubMed in the raw files of Planetoid (Yang et al. 2016)."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch

from runner.data.largest_component import largest_component as reduce_to_largest
from runner.data.link_data import LinkData
from runner.data.planetoid_raw import PARTS, read_graph
from runner.data.whole_graph import LinkSplit, WholeGraph, split_data
from runner.errors import RunnerError
from runner.keys import Before, Folder
from runner.machine.child import call_in_child
from runner.storage.download import download
from runner.storage.workshop import sync, workshop

log = logging.getLogger(__name__)

Name = Literal["Cora", "CiteSeer", "PubMed"]
_URL = "https://github.com/kimiyoung/planetoid/raw/master/data"
_PATIENCE = 120  # seconds for files that take one


def planetoid(
    *,
    name: Name,
    root: Folder,
    split: LinkSplit,
    largest_component: Annotated[bool, Before(False)] = False,
    normalise_features: Annotated[bool, Before(False)] = False,
) -> LinkData:
    """One of the three citation graphs.

    The raw files are read from `root`/planetoid/<name>/raw, which may be read-only, and downloaded
    to there when they are missing.

    Args:
        largest_component: keep the nodes and links of the largest connected component alone.
        normalise_features: divide each row by its sum, as DGL does; else as stored.

    Raises:
        RunnerError: if files are missing and cannot be downloaded, cannot be read, or hold more
            than numbers: they are pickles, which could run code.
    """
    folder = Path(root).expanduser() / "planetoid" / name / "raw"
    files = [f"ind.{name.lower()}.{part}" for part in PARTS]
    if not _complete(folder, files):
        _download(name, folder, files)
    content = _read(name, root, folder)
    features = torch.from_numpy(content["features"])
    if normalise_features:  # of rows that are all zeros nothing is left to divide
        sums = features.sum(dim=1, keepdim=True)
        features = features / torch.where(sums == 0, 1, sums)
    edges = torch.from_numpy(content["edges"])
    notes = []
    if largest_component:
        edges, nodes = reduce_to_largest(edges, len(features))
        notes.append(f"the largest connected component: {len(nodes)} of {len(features)} nodes")
        features = features[nodes]
    note = f"SHA-256 of {', '.join(files)}, one after another: {content['sha256']}"
    whole = WholeGraph.of(edges, len(features))
    whole = replace(whole, name=name.lower(), root=root)
    return split_data(whole, split, features=features, notes=[note, *notes])


def _complete(folder: Path, files: list[str]) -> bool:
    return all((folder / file).is_file() for file in files)


def _read(name: str, root: str, folder: Path) -> Mapping[str, np.ndarray]:
    try:
        content = call_in_child(read_graph, str(folder), name.lower(), seconds=_PATIENCE)
    except RunnerError as error:
        raise RunnerError(f"dataset.root={root}: {error}") from None
    except (ValueError, MemoryError) as error:
        raise RunnerError(
            f"dataset.root={root}: the raw files in {folder} cannot be read ({error}); delete "
            "them to download them again"
        ) from None
    return np.load(io.BytesIO(content))


def _download(name: str, folder: Path, files: list[str]) -> None:
    try:
        with workshop(folder) as working:
            if _complete(folder, files):
                return
            log.info("downloading %s to %s", name, folder)
            for file in files:
                download(f"{_URL}/{file}", working)
            sync(working)
            folder.mkdir(exist_ok=True)
            for file in files:
                os.replace(working / file, folder / file)
    except Exception as error:  # network, disk, server: in many types
        raise RunnerError(
            f"dataset={name.lower()}: the dataset is not in {folder} and cannot be downloaded "
            f"({type(error).__name__}); put the files {', '.join(files)} there, or point "
            "dataset.root (or RUNNER_DATA) at a folder that has planetoid/"
            f"{name}/raw"
        ) from None
