"""Files that users bring: found, opened without executing anything, and named where damaged."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import pickle
import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from runner.config.hydra_messages import short
from runner.errors import RunnerError


def existing_file(key: str, path: str) -> Path:
    file = Path(path)
    try:
        if file.is_file():
            with open(file, "rb"):
                return file
        kind = "it is no file" if file.exists() else "there is no such file"
    except OSError as error:  # a name that no file can have
        kind = str(error.strerror).lower()
    raise RunnerError(f"{key}={short(path)}: {kind}")


_INTERNALS = re.compile(r"object at|has no attribute|NoneType")  # words of a library's own parts


def damaged(key: str, file: Path, error: Exception) -> RunnerError:
    strerror = error.strerror if isinstance(error, OSError) else None
    reason = short((strerror or str(error) or "it cannot be read").splitlines()[0])
    if any(word in reason for word in ("pickle", "Weights only")):  # how to load it all the same
        reason = "it holds something else than plain numbers"
    if isinstance(error, gzip.BadGzipFile | zlib.error | lzma.LZMAError | EOFError):
        reason = "it cannot be unpacked"
    if isinstance(error, UnicodeDecodeError):
        reason = "it is no text in UTF-8"
    if _INTERNALS.search(reason):
        reason = "it cannot be read"
    return RunnerError(f"{key}={file}: the file is damaged or not of its kind ({reason})")


def is_plain(x: object) -> TypeGuard[Tensor]:
    """Whether it is a tensor with values of its own."""
    return isinstance(x, Tensor) and not (x.is_nested or x.is_meta or x.is_quantized)


class _PyG:
    """For torch.load, a pickle module that knows the names in PyG's `Data` and no other.

    After a transform a `Data` holds names of its attributes in a defaultdict of sets, which
    torch's own reader with `weights_only` cannot fill.
    """

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            module = {"__builtin__": "builtins"}.get(module, module)
            if (module, name) not in _KNOWN:
                raise pickle.UnpicklingError(f"it asks for {module}.{name}")
            return super().find_class(module, name)


_KNOWN = {
    ("builtins", "set"), ("collections", "OrderedDict"), ("collections", "defaultdict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    *(("torch", f"{kind}Storage") for kind in ("Bool", "Byte", "Double", "Float", "Int", "Long")),
    ("torch_geometric.data.data", "Data"), ("torch_geometric.data.data", "DataEdgeAttr"),
    ("torch_geometric.data.data", "DataTensorAttr"),
    ("torch_geometric.data.storage", "AttrType"), ("torch_geometric.data.storage", "GlobalStorage"),
}  # fmt: skip


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
        if zipfile.is_zipfile(file):
            with contextlib.suppress(Exception):  # the first error says what is wrong
                return torch.load(file, map_location="cpu", pickle_module=_PyG, weights_only=False)
        raise damaged(key, file, error) from None
