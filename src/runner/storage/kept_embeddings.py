"""embeddings.npz: the embeddings of the nodes by a finished run, with its facts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from runner.storage.seal import Damaged
from runner.storage.sealed_arrays import read_arrays, write_arrays

FILE = "embeddings.npz"


@dataclass(frozen=True)
class Facts:
    """What the embeddings are of; rows of runs with other nodes mean different things.

    Attributes:
        run_id, epoch: of the run, and of its weights.
        graph: fingerprint of the graph before its split.
        names: fingerprint of the names of its nodes; empty where these are their numbers.
    """

    run_id: str
    epoch: int
    graph: str
    names: str


def write(folder: Path, facts: Facts, embeddings: np.ndarray) -> None:
    """Write the file of a run, whole or not at all.

    Args:
        embeddings: (N, H), a row for each node.

    Raises:
        OSError: if it cannot be written.
    """
    write_arrays(folder / FILE, asdict(facts), {"embeddings": embeddings})


def read(folder: Path) -> tuple[Facts, np.ndarray]:
    """The facts and the embeddings, (N, H), of a run.

    Raises:
        OSError: if there is none.
        Damaged: if the file has changed, or is of another version.
    """
    facts, arrays = read_arrays(folder / FILE)
    try:
        return Facts(**facts), arrays["embeddings"]
    except (TypeError, KeyError):
        raise Damaged("it is of another version") from None
