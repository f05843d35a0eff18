"""Files of graphs by the thousand are read as what they hold, or refused."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.own_files import OUTCOMES, is_fault, outcome, own_file


@dataclass
class Tally:
    """What came of the files of each kind.

    Attributes:
        outcomes: by the kind of file, how often each of `OUTCOMES` came.
        decided: by the kind of file, how many the conventions decide.
        failures: what was not as it should be, a line each.
    """

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    decided: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[object, ...]]:
        """For each kind: its name, the files that the conventions decide, and the outcomes."""
        return [
            (kind, self.decided[kind], *(found[what] for what in OUTCOMES))
            for kind, found in sorted(self.outcomes.items())
        ]


def soak(folder: Path, *, files: int, seed: int) -> Tally:
    """Write and read `files` files, each kind in turn.

    Args:
        folder: an empty one, for a file at a time.
    """
    tally = Tally()
    for number in range(files):
        file = own_file(number, seed)
        found, said = outcome(file, folder)
        tally.outcomes[file.kind][found] += 1
        tally.decided[file.kind] += file.is_decided
        if is_fault(file, found):
            tally.failures.append(
                f"file {number} of seed {seed} ({file.kind}) is {found}: {said or 'it is damaged'}"
            )
    return tally
