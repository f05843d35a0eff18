"""Which overrides of a sweep a job takes: those whose keys its choices of groups have."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

from hydra.errors import ConfigCompositionException

log = logging.getLogger(__name__)

_UNKNOWN = re.compile(r"Could not override '([^']+)'")


class Fitting:
    """Leaves out of each job the keys that its model or dataset lacks and another job's has.

    `model=cn,ncn encoder.hidden=16` has a width for ncn alone. A key that no job has is a mistake:
    it stays, and Hydra says so.

    Args:
        compose: makes a job's config from its overrides, or raises Hydra's error.
    """

    def __init__(self, compose: Callable[[list[str]], Any]) -> None:
        self._compose = compose
        self._lacking: dict[tuple[str, ...], frozenset[str]] = {}
        self._told: set[str] = set()

    def of(self, jobs: Sequence[Sequence[str]]) -> list[list[str]]:
        """The overrides of each job without those that do not fit it."""
        lacking = [self._lacks(overrides) for overrides in jobs]
        mistaken = frozenset.intersection(*lacking) if lacking else frozenset()
        kept = []
        for overrides, lost in zip(jobs, lacking, strict=True):
            out = [line for line in overrides if _key(line) in lost - mistaken]
            kept.append([line for line in overrides if line not in out])
            for line in out:
                self._say(f"{line} is left out of {_named(overrides)}: it has no such key")
        return kept

    def _say(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            log.warning("%s", line)

    def _lacks(self, overrides: Sequence[str]) -> frozenset[str]:
        choices = tuple(line for line in overrides if "." not in _key(line))
        keys = tuple(sorted(_key(line) for line in overrides))
        place = (*choices, *keys)
        if place not in self._lacking:
            self._lacking[place] = self._find(overrides)
        return self._lacking[place]

    def _find(self, overrides: Sequence[str]) -> frozenset[str]:
        lost: set[str] = set()
        while True:
            left = [line for line in overrides if _key(line) not in lost]
            try:
                self._compose(left)
            except ConfigCompositionException as error:
                found = _UNKNOWN.search(str(error))
                key = found.group(1) if found else None
                if key is None or "not in struct" not in _chain(error) or key in lost:
                    return frozenset(lost)
                if not any(_key(line) == key for line in left):
                    return frozenset(lost)
                lost.add(key)
            except Exception:  # said when the job is composed to run
                return frozenset(lost)
            else:
                return frozenset(lost)


def _chain(error: BaseException | None) -> str:
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    return " ".join(texts)


def _key(line: str) -> str:
    return line.partition("=")[0]


def _named(overrides: Sequence[str]) -> str:
    chosen = [line for line in overrides if _key(line) in ("model", "dataset", "encoder")]
    return " ".join(chosen) or "the job"
