"""Bad input by the thousand is refused."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.configuration import set_hypothesis_home_dir

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.arena import Arena
from tests.bad_configs import bad_configs
from tests.bad_files import bad_files
from tests.bad_input import BadInput, shown


@dataclass
class Tally:
    """What was tried and what came of it.

    Attributes:
        refused: bad inputs by their kind, those with a failure among them.
        commands: those of them that were started as a process.
        good: what was damaged at random and could still be run; not counted as bad.
        failures: what was not as it should be, a line each.
    """

    refused: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    good: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.refused.total()


def soak(folder: Path, *, examples: int, commands: int, seed: int) -> Tally:
    """Try `examples` bad inputs in this process and `commands` as processes of their own.

    Args:
        folder: an empty one, to try them in.
    """
    set_hypothesis_home_dir(folder / "hypothesis")
    tally = Tally()
    with Arena(folder) as arena:
        _try(arena, tally, examples, seed, command=False)
        _try(arena, tally, commands, seed + 1, command=True)
    return tally


def _try(arena: Arena, tally: Tally, wanted: int, start: int, *, command: bool) -> None:
    done = 0

    def one(bad: BadInput) -> None:
        nonlocal done
        if done == wanted or (command and not _can_be_typed(bad)):
            return
        found = arena.faults(bad, command=command)
        if found is None:
            tally.good += 1
            return
        done += 1
        tally.refused[bad.kind] += 1
        tally.commands += command
        tally.failures += [f"{line} ({shown(bad)})" for line in found]

    # A round has examples that turn out to be good, or that no shell can pass.
    for number in range(100):
        if done == wanted:
            return
        _round(one, min(wanted - done + 10, 500), 1000 * start + number)


def _round(one: object, examples: int, start: int) -> None:
    run = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(bad_configs() | bad_files())(one))
    seed(start)(run)()


def _can_be_typed(bad: BadInput) -> bool:
    return not any("\0" in argument for argument in bad.arguments)
