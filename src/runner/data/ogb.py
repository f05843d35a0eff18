"""Link-prediction datasets of the Open Graph Benchmark (OGB): downloaded and read."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import logging
import os
import zipfile
from pathlib import Path
from typing import Annotated, Any

import torch

from runner.data.link_data import EvaluationSplit, LinkData
from runner.data.ogb_raw import Features, convert
from runner.errors import RunnerError
from runner.keys import Before, Folder, PositiveInt
from runner.machine.child import call_in_child
from runner.ops.csr import Graph
from runner.storage.checksums import digest
from runner.storage.download import download
from runner.storage.kept import make_once
from runner.storage.workshop import sync, workshop

log = logging.getLogger(__name__)

_DATA = "data.pt"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LARGE = 2**25  # bytes of raw files, from which on a process of its own reads them


def ogb_link(
    *,
    name: str,
    root: Folder,
    cache: Folder,
    features: Features,
    min_year: Annotated[PositiveInt | None, Before(None)] = None,
) -> LinkData:
    """An OGB dataset with its official split.

    The files are those of `root`/ogb/<name with _>/{raw,split}, which may be read-only: what is
    made of them goes below `cache`. Missing files are downloaded to there.

    Args:
        features: `stored` as they are; `argmax` the category of a one-hot row (ppa's species);
            `node_id` an embedding for every node.
        min_year: of the links of training, those of this year on; None for all.

    Raises:
        RunnerError: if files are missing and cannot be downloaded, or cannot be read.
    """
    folder = Path(root).expanduser() / "ogb" / name.replace("-", "_")
    master = _read_master()
    if name not in master:
        raise RunnerError(
            f"dataset.source.name={name}: OGB has no such dataset; known: {', '.join(master)}"
        )
    expected = _expected_files(master[name])
    if not _complete(folder, expected):
        _download(name, folder, master[name], expected)
    split = str(master[name]["split"])
    return _load(name, folder, split, features, min_year, Path(cache).expanduser() / "ogb")


def _read_master() -> Any:
    """OGB's table of datasets. Its import would ask the package registry for its version."""
    import pandas

    package = importlib.util.find_spec("ogb")
    assert package is not None and package.submodule_search_locations is not None
    table = Path(package.submodule_search_locations[0]) / "linkproppred" / "master.csv"
    return pandas.read_csv(table, index_col=0, keep_default_na=False)


def _expected_files(information: Any) -> list[str]:
    raw = ["edge.csv.gz", "num-node-list.csv.gz", "num-edge-list.csv.gz"]
    if information["has_node_attr"] == "True":
        raw.append("node-feat.csv.gz")
    for kind in ("node", "edge"):
        names = str(information[f"additional {kind} files"])
        raw += [f"{name}.csv.gz" for name in names.split(",") if name not in ("", "None")]
    folder = f"split/{information['split']}"
    parts = [f"{folder}/{part}.pt" for part in ("train", "valid", "test")]
    return [*(f"raw/{file}" for file in raw), *parts]


def _complete(folder: Path, expected: list[str]) -> bool:
    return all((folder / file).is_file() for file in expected)


def _download(name: str, folder: Path, information: Any, expected: list[str]) -> None:
    remedy = (
        f"put the files {', '.join(expected)} into {folder}, or point dataset.root (or RUNNER_DATA)"
        f" at a folder that has ogb/{folder.name}"
    )
    try:
        with workshop(folder) as working:
            if _complete(folder, expected):
                return
            if folder.exists():
                raise RunnerError(f"dataset={name}: files are missing in {folder}; {remedy}")
            log.info("downloading %s to %s", name, folder)
            archive = download(information["url"], working)
            with zipfile.ZipFile(archive) as content:
                content.extractall(working)
            new = working / information["download_name"]
            if not _complete(new, expected):
                raise FileNotFoundError("the download lacks files")
            sync(new)
            os.rename(new, folder)
    except RunnerError:
        raise
    except Exception as error:  # network, disk, server: in many types
        raise RunnerError(
            f"dataset={name}: the dataset is not in {folder} and cannot be downloaded "
            f"({type(error).__name__}); {remedy}"
        ) from None


def _load(
    name: str, folder: Path, split: str, features: Features, min_year: int | None, cache: Path
) -> LinkData:
    """The data, from the cache, which the first of several processes makes."""
    root = folder.parent.parent
    try:
        made_of = digest(folder / "raw", folder / "split")
    except OSError as error:
        raise RunnerError(
            f"dataset.root={root}: {error.filename} cannot be read ({error.strerror})"
        ) from None
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    years = "" if min_year is None else f"-from-{min_year}"
    kept = cache / f"{folder.name}-{features}{years}-{place}"

    def make(working: Path) -> None:
        try:
            _convert(folder, split, features, min_year, working / _DATA)
        except RunnerError:
            raise
        except Exception as error:  # parsers and unpicklers fail in many types
            if isinstance(error, MemoryError) or getattr(error, "errno", None) in _FULL:
                raise
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RunnerError(
                f"dataset.root={root}: the files in {folder} are damaged or not {name}'s "
                f"({text}); delete the folder to download it again"
            ) from error

    return make_once(kept, made_of=made_of, make=make, read=_read, what=name)


def _convert(
    folder: Path, split: str, features: Features, min_year: int | None, target: Path
) -> None:
    """In a process of its own where there is much, whose memory then goes back to the system."""
    size = sum(file.stat().st_size for part in ("raw", "split") for file in _files(folder / part))
    if size < _LARGE:
        convert(folder, split, features, target, min_year)
        return
    year = [] if min_year is None else [str(min_year)]
    call_in_child(convert, str(folder), split, features, str(target), *year)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _read(kept: Path) -> LinkData:
    content = torch.load(kept / _DATA, mmap=True, weights_only=True)
    if "graph_fingerprint" not in content:
        raise ValueError("it is of an earlier version")
    rowptr, col = content["graph"]
    return LinkData(
        num_nodes=content["num_nodes"],
        features=content["features"],
        num_categories=content["num_categories"],
        train=content["train"],
        valid=EvaluationSplit(*content["valid"]),
        test=EvaluationSplit(*content["test"]),
        directed=content["directed"],
        fingerprint=content["fingerprint"],
        graph_fingerprint=content["graph_fingerprint"],
        features_fingerprint=content["features_fingerprint"],
        notes=(),
        train_graph=Graph(rowptr, col, symmetric=True),
    )
