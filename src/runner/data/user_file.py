"""Files that users bring: found, opened without executing anything, and named where damaged."""

from __future__ import annotations

import gzip
import warnings
import zlib
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor

from runner.config.hydra_messages import short
from runner.errors import RunnerError


def existing_file(key: str, path: str) -> Path:
    file = Path(path)
    try:
        if file.is_file():
            return file
        kind = "it is no file" if file.exists() else "there is no such file"
    except OSError as error:  # a name that no file can have
        kind = str(error.strerror).lower()
    raise RunnerError(f"{key}={short(path)}: {kind}")


def damaged(key: str, file: Path, error: Exception) -> RunnerError:
    strerror = error.strerror if isinstance(error, OSError) else None
    reason = short((strerror or str(error) or "it cannot be read").splitlines()[0])
    if any(word in reason for word in ("pickle", "Weights only")):  # how to load it all the same
        reason = "it holds something else than plain numbers"
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        reason = "it cannot be unpacked"
    if isinstance(error, UnicodeDecodeError):
        reason = "it is no text in UTF-8"
    return RunnerError(f"{key}={file}: the file is damaged or not of its kind ({reason})")


def is_plain(x: object) -> TypeGuard[Tensor]:
    """Whether it is a tensor with values of its own."""
    return isinstance(x, Tensor) and not (x.is_nested or x.is_meta or x.is_quantized)


def load_pt(key: str, file: Path) -> object:
    from torch_geometric.data.data import Data, DataEdgeAttr, DataTensorAttr
    from torch_geometric.data.storage import GlobalStorage

    classes = [Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]
    try:
        # Exactly PyG's own data classes: nothing in the file is executed. What torch warns of, of
        # a file that it then refuses, is no news.
        with torch.serialization.safe_globals(classes), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling fails in many types
        raise damaged(key, file, error) from None
