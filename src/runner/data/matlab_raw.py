"""One matrix of a MATLAB file, for a child process: SciPy's reader can crash on a damaged one."""

from __future__ import annotations

import io

import numpy as np
import scipy.io
import scipy.sparse

from runner.data.checked_sparse import sound
from runner.errors import RunnerError


def read_matrix(file: str, key: str) -> bytes:
    """A variable of a MATLAB file, version 4 to 7.

    Returns:
        A SciPy sparse matrix in coordinates, as `.npz`.

    Raises:
        RunnerError: if the file has no such variable, or is of version 7.3.
        Exception: of many types, if it is damaged or the variable is no matrix of numbers.
    """
    try:
        names = [name for name, *_ in scipy.io.whosmat(file)]
    except NotImplementedError:
        raise RunnerError(
            f"dataset.path={file}: a MATLAB file of version 7.3; save it with -v7"
        ) from None
    if key not in names:
        raise RunnerError(
            f"dataset.path={file}: no key {key} (the adjacency matrix) among "
            f"{', '.join(sorted(names)) or 'its keys'}"
        )
    matrix = scipy.io.loadmat(file, variable_names=[key])[key]
    if matrix.ndim != 2 or matrix.dtype.kind not in "biufc":
        raise ValueError(f"{key} is no matrix of numbers")
    if not scipy.sparse.issparse(matrix):
        matrix = np.asarray(matrix)
    buffer = io.BytesIO()
    scipy.sparse.save_npz(buffer, scipy.sparse.coo_array(sound(matrix)), compressed=False)
    return buffer.getvalue()
