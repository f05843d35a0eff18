"""A user's own node features, from a file."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from runner.data.reading.checked_sparse import sound
from runner.data.reading.text_file import PACKED
from runner.data.reading.user_file import damaged, is_plain, load_pt
from runner.errors import RunnerError

_ARRAYS = (".npy", ".npz", ".pt")
_TABLES = (".csv", ".tsv", ".txt")


def is_table(key: str, file: Path) -> bool:
    """Whether it has rows of columns: text by its ending, Parquet and Arrow by their content."""
    if file.suffix in _ARRAYS:
        return False
    name = file.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    if name.endswith(_TABLES):
        return True
    from runner.data.reading.columnar import kind_of

    return kind_of(file, key) is not None


def read_features(key: str, file: Path) -> Tensor:
    """A file of rows alone.

    Raises:
        RunnerError: naming the key, if it is damaged or of another kind.
    """
    try:
        with warnings.catch_warnings():  # of what is then refused
            warnings.simplefilter("ignore")
            return _read_one(key, file)
    except RunnerError:
        raise
    except Exception as error:  # damaged files fail in many types
        raise damaged(key, file, error) from None


def _read_one(key: str, file: Path) -> Tensor:
    import scipy.sparse

    if file.suffix == ".npy":
        array = np.load(file, allow_pickle=False)
    elif file.suffix == ".npz":
        with open(file, "rb") as stream:
            array = sound(scipy.sparse.load_npz(stream)).toarray()
    elif file.suffix == ".pt":
        loaded = load_pt(key, file)
        if not is_plain(loaded):
            raise ValueError(f"it holds a {type(loaded).__name__}, not a plain tensor")
        return loaded.to_dense()
    else:
        raise RunnerError(
            f"{key}={file}: unknown kind of file; known: .npy, SciPy .npz, .pt, a table (.csv, "
            ".tsv, .txt, Parquet, Arrow)"
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(f"it holds values of {array.dtype}, not real numbers")
    return torch.from_numpy(array.astype(np.float32))  # what is too large becomes infinite


def check_shape(key: str, origin: str, features: Tensor, num_nodes: int) -> None:
    """Refuse what is no row of real numbers for each node."""
    if features.dim() != 2 or features.shape[0] != num_nodes or features.shape[1] < 1:
        raise RunnerError(
            f"{key}={origin}: the shape is {tuple(features.shape)}, the graph has {num_nodes} "
            "nodes; give one row of numbers for each node, or dataset.num_nodes=… if the edges "
            "miss isolated nodes with the highest ids"
        )
    if features.is_complex():
        raise RunnerError(
            f"{key}={origin}: it holds complex numbers; give one row of real numbers for each node"
        )


def checked_features(origin: str, features: Tensor, num_nodes: int) -> Tensor:
    check_shape("dataset.features", origin, features, num_nodes)
    features = features.detach().to(torch.float32)
    if not features.isfinite().all():
        bad = int((~features.isfinite()).any(dim=1).nonzero()[0])
        raise RunnerError(
            f"dataset.features={origin}: the row of node {bad} holds NaN or infinite values; "
            "replace them"
        )
    return features.contiguous()
