"""One matrix of a MATLAB file, for a child process: SciPy's reader can crash on a damaged one."""

from __future__ import annotations

import io

import numpy as np
import scipy.io
import scipy.sparse

from runner.data.reading.checked_sparse import sound
from runner.errors import RunnerError

_USUAL = "net"  # the variable's name in the graphs that papers on link prediction use


def read_matrix(file: str, key: str) -> bytes:
    """A variable of a MATLAB file, version 4 to 7.

    Args:
        key: its name; empty takes `net`, or the only square matrix.

    Returns:
        A SciPy sparse matrix in coordinates, as `.npz`.

    Raises:
        RunnerError: if the file has no such variable, or is of version 7.3.
        Exception: of many types, if it is damaged or the variable is no matrix of numbers.
    """
    try:
        shapes = {name: shape for name, shape, _ in scipy.io.whosmat(file)}
    except NotImplementedError:
        raise RunnerError(
            f"dataset.path={file}: a MATLAB file of version 7.3; save it with -v7"
        ) from None
    if not key:
        square = [n for n, s in shapes.items() if len(s) == 2 and s[0] == s[1] and s[0] > 1]
        key = _USUAL if _USUAL in shapes else square[0] if len(square) == 1 else ""
    if key not in shapes:
        raise RunnerError(
            f"dataset.path={file}: which of its variables is the adjacency matrix "
            f"({', '.join(sorted(shapes)) or 'it has none'})? Say dataset.key=…"
        )
    matrix = scipy.io.loadmat(file, variable_names=[key])[key]
    if matrix.ndim != 2 or matrix.dtype.kind not in "biufc":
        raise ValueError(f"{key} is no matrix of numbers")
    if not scipy.sparse.issparse(matrix):
        matrix = np.asarray(matrix)
    buffer = io.BytesIO()
    scipy.sparse.save_npz(buffer, scipy.sparse.coo_array(sound(matrix)), compressed=False)
    return buffer.getvalue()
