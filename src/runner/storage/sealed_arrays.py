"""Arrays of a run with their facts, in one sealed .npz file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runner.storage.files import atomic
from runner.storage.seal import Damaged, seal_archive, verify_archive

_FACTS = "facts"


def write_arrays(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write the file, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    given: dict[str, Any] = {_FACTS: np.array(json.dumps(facts)), **arrays}
    with atomic(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez(file, **given)
        seal_archive(temporary)


def read_arrays(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The facts and the arrays of the file.

    Raises:
        OSError: if there is none.
        Damaged: if it has changed, or is of another version.
    """
    verify_archive(path)
    with np.load(path, allow_pickle=False) as found:
        try:
            arrays = dict(found)
            facts = json.loads(str(arrays.pop(_FACTS)))
        except (TypeError, ValueError, KeyError):
            raise Damaged("it is of another version") from None
    return facts, arrays
