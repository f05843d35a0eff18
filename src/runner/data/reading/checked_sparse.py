"""Sparse matrices from files: SciPy's compiled code trusts their indices."""

from __future__ import annotations

from typing import Any

import numpy as np


def sound(matrix: Any) -> Any:
    """The matrix, if its indices lie in it; dense ones, and sparse ones by coordinates, do.

    SciPy does not look at them by itself, and reads and writes past its memory then.

    Raises:
        ValueError: if they do not.
    """
    check = getattr(matrix, "check_format", None)  # compressed formats have one
    if check is not None:
        # Its full check leaves out a matrix with a negative number of entries.
        if (np.diff(matrix.indptr) < 0).any():
            raise ValueError("a sparse matrix whose index pointers go back")
        check(full_check=True)
    return matrix
