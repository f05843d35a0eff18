"""Link-prediction datasets of the Open Graph Benchmark (OGB), read by its own loader."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from runner.data.checksums import broken, digest, seal
from runner.data.link_data import EvaluationSplit, LinkData, link_data
from runner.data.making import sync, workshop
from runner.errors import RunnerError

log = logging.getLogger(__name__)

Split = Mapping[str, Tensor]


def ogb_link(
    *, name: str, root: str, cache: str, features: Literal["stored", "argmax", "node_id"]
) -> LinkData:
    """An OGB dataset with its official split.

    The files are those of `root`/ogb/<name with _>/{raw,split}, which may be read-only: what OGB
    processes goes below `cache`. Missing files are downloaded by OGB to there.

    Args:
        features: `stored` as they are; `argmax` the category of a one-hot row (ppa's species);
            `node_id` an embedding for every node.

    Raises:
        RunnerError: if files are missing and cannot be downloaded, or cannot be read.
    """
    folder = Path(root).expanduser() / "ogb" / name.replace("-", "_")
    master = _import_ogb_master()
    if name not in master:
        raise RunnerError(
            f"dataset.source.name={name}: OGB has no such dataset; known: {', '.join(master)}"
        )
    expected = _expected_files(master[name])
    if not _complete(folder, expected):
        _download(name, folder, master[name], expected)
    graph, splits = _load(name, folder, Path(cache).expanduser() / "ogb")
    train, valid, test = (splits[part] for part in ("train", "valid", "test"))
    directed = "source_node" in train
    given, num_categories = _features(graph, features)
    return link_data(
        num_nodes=int(graph.num_nodes),
        features=given,
        num_categories=num_categories,
        train=_links(train),
        valid=EvaluationSplit(_links(valid), _negatives(valid)),
        test=EvaluationSplit(_links(test), _negatives(test)),
        directed=directed,
    )


def _links(split: Split) -> Tensor:
    if "source_node" in split:
        return torch.stack([split["source_node"], split["target_node"]])
    return split["edge"].T.contiguous()


def _negatives(split: Split) -> Tensor:
    if "target_node_neg" in split:
        targets = split["target_node_neg"]
        return torch.stack([split["source_node"].unsqueeze(1).expand_as(targets), targets])
    return split["edge_neg"].T.contiguous()


def _features(graph: Any, kind: str) -> tuple[Tensor | None, int | None]:
    if kind == "node_id":
        return None, None
    if kind == "argmax":
        return graph.x.argmax(dim=1), graph.x.shape[1]
    return graph.x.to(torch.float32), None


def _import_ogb_master() -> Any:
    """OGB's table of datasets. Its import would ask the package registry for its version."""
    import pandas

    absent: Any = None  # to Python's import, a package that is not installed
    known = sys.modules.get("outdated", absent)
    sys.modules["outdated"] = absent
    try:
        import ogb.linkproppred
    finally:
        del sys.modules["outdated"]
        if known is not None:
            sys.modules["outdated"] = known

    table = Path(ogb.linkproppred.__file__).parent / "master.csv"
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
            new = working / folder.name
            new.mkdir()  # OGB removes it and puts the new one in its place
            with _quiet():
                from ogb.linkproppred import PygLinkPropPredDataset

                # Its constructor would also process the files, beside them.
                dataset = PygLinkPropPredDataset.__new__(PygLinkPropPredDataset)
                dataset.original_root, dataset.root = str(working), str(new)
                dataset.meta_info = information
                dataset.download_name = information["download_name"]
                dataset.download()
            if not _complete(new, expected):
                raise FileNotFoundError("the download lacks files")
            sync(new)
            os.rename(new, folder)
    except RunnerError:
        raise
    except _Prompt as prompt:
        raise RunnerError(
            f"dataset={name}: OGB asks «{prompt}» before it downloads; download it yourself once, "
            f"and {remedy}"
        ) from None
    except Exception as error:  # network, disk, server: in many types
        raise RunnerError(
            f"dataset={name}: the dataset is not in {folder} and cannot be downloaded "
            f"({type(error).__name__}); {remedy}"
        ) from None


def _load(name: str, folder: Path, cache: Path) -> tuple[Any, Mapping[str, Split]]:
    """The graph and its split, from the cache, which the first of several processes makes."""
    root = folder.parent.parent
    try:
        made_of = digest(folder / "raw")
    except OSError as error:
        raise RunnerError(
            f"dataset.root={root}: {error.filename} cannot be read ({error.strerror})"
        ) from None
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    kept = cache / f"{folder.name}-{place}"
    found, _ = _kept(name, kept, made_of)
    if found is not None:
        return found
    with contextlib.ExitStack() as stack:
        try:
            working = stack.enter_context(workshop(kept))
        except OSError as error:
            raise RunnerError(
                f"run.cache={cache.parent}: it cannot be written ({error.strerror}); choose "
                "another place with run.cache=… or RUNNER_CACHE"
            ) from None
        found, reason = _kept(name, kept, made_of)
        if found is not None:
            return found
        if reason is not None:
            log.warning("the cache %s %s and is made anew", kept, reason)
            shutil.rmtree(kept, ignore_errors=True)
        return _make(name, folder, working, kept, made_of)


def _kept(name: str, kept: Path, made_of: str) -> tuple[Any, str | None]:
    """What is in the cache, or why it is of no use; neither where there is none."""
    if not kept.is_dir():
        return None, None
    try:
        reason = broken(kept, made_of=made_of)
        return (_read(name, kept), None) if reason is None else (None, reason)
    except Exception as error:  # a cache that fails is made anew, whatever it is
        return None, f"cannot be read ({error})"


def _make(
    name: str, folder: Path, working: Path, kept: Path, made_of: str
) -> tuple[Any, Mapping[str, Split]]:
    """Let OGB's loader work on links to `folder`, and keep what it makes."""
    log.info("%s is processed, once, into %s", name, kept)
    try:
        shadow = working / folder.name
        shadow.mkdir()
        for part in ("raw", "split", "mapping"):
            if (folder / part).exists():
                (shadow / part).symlink_to((folder / part).resolve())
        (shadow / "RELEASE_v1.txt").touch()  # without it OGB asks whether to delete the folder
        found = _read(name, working)
        seal(working, made_of=made_of)
        # Without locks, of two processes that make it at once one is too late, which is no loss.
        with contextlib.suppress(OSError):
            os.rename(working, kept)
        return found
    except RunnerError:
        raise
    except Exception as error:  # parsers and unpicklers fail in many types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunnerError(
            f"dataset.root={folder.parent.parent}: the files in {folder} are damaged or not "
            f"{name}'s ({reason}); delete the folder to download it again"
        ) from error


def _read(name: str, root: Path) -> tuple[Any, Mapping[str, Split]]:
    # OGB and PyG leave it to PyTorch's default, or do without, whether a file may run code.
    safely = {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "0"}
    with _quiet(), mock.patch.dict(os.environ, safely):
        from ogb.linkproppred import PygLinkPropPredDataset

        with torch.serialization.safe_globals(_allowed()):
            dataset = PygLinkPropPredDataset(name, root=str(root))
            return dataset[0], dataset.get_edge_split()


def _allowed() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What OGB's files hold beside tensors; nothing else is loaded (torch ≥ 2.6 checks)."""
    from torch_geometric.data.data import Data, DataEdgeAttr, DataTensorAttr
    from torch_geometric.data.storage import GlobalStorage

    # NumPy 2 has moved the function; files from before name its old place.
    reconstruct = np.empty(0).__reduce__()[0]
    dtypes = {type(np.dtype(kind)) for kind in ("i4", "i8", "f4", "f8", "u1", "?")}
    return [
        Data, DataEdgeAttr, DataTensorAttr, GlobalStorage, np.ndarray, np.dtype, *dtypes,
        reconstruct, (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
    ]  # fmt: skip


class _Prompt(Exception):
    """OGB wanted to ask something, and nobody may be there to answer."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep OGB's chatter from the console, and refuse its questions."""

    def refuse(prompt: str = "") -> str:
        raise _Prompt(prompt.strip())

    with (
        mock.patch("builtins.input", refuse),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        yield
