"""scores.npz: what a finished run gave the pairs of validation and test, with its facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from runner.storage.seal import Damaged, seal_of
from runner.storage.sealed_arrays import read_arrays, write_arrays

FILE = "scores.npz"
SIDES = ("positive", "negative")


@dataclass(frozen=True)
class Facts:
    """What the scores are of; those of different data, splits or graphs mean different things.

    Attributes:
        run_id, epoch: of the run, and of its weights.
        data: fingerprint of the data with its split.
        graphs: fingerprint of the graph that each split was scored on.
        learned_from_validation: its training saw links of validation.
        normalises_pairs: a score depends on the pairs that were scored with it.
        failed_audits: by name, those that the scores have failed.
    """

    run_id: str
    epoch: int
    data: str
    graphs: dict[str, str]
    learned_from_validation: bool
    normalises_pairs: bool
    failed_audits: list[str]


@dataclass(frozen=True, eq=False)
class KeptScores:
    """The content of the file.

    Attributes:
        pairs, scores: by split and side, as ("valid", "negative"): (2, n) int64 and (n,) float32.
            Where each positive has negatives of its own, these stand one after another.
        digest: the seal of the file; "" of one that is not yet written.
    """

    facts: Facts
    pairs: Mapping[tuple[str, str], np.ndarray]
    scores: Mapping[tuple[str, str], np.ndarray]
    digest: str = ""


def write(folder: Path, kept: KeptScores) -> None:
    """Write the file, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    arrays = {f"{split}_{side}": values for (split, side), values in kept.scores.items()}
    arrays |= {f"{split}_{side}_pairs": pairs for (split, side), pairs in kept.pairs.items()}
    write_arrays(folder / FILE, asdict(kept.facts), arrays)


def read(folder: Path) -> KeptScores:
    """Read the file of a run.

    Raises:
        OSError: if there is none.
        Damaged: if it has changed, or is of another version.
    """
    path = folder / FILE
    given, found = read_arrays(path)
    try:
        facts = Facts(**given)
    except TypeError:
        raise Damaged("it is of another version") from None
    names = [(split, side) for split in facts.graphs for side in SIDES]
    return KeptScores(
        facts,
        {(split, side): found[f"{split}_{side}_pairs"] for split, side in names},
        {(split, side): found[f"{split}_{side}"] for split, side in names},
        seal_of(path),
    )
