"""Select the overrides of a sweep for a job: those whose keys its groups have."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

from hydra.errors import ConfigCompositionException

log = logging.getLogger(__name__)

_UNKNOWN = re.compile(r"Could not override '([^']+)'")


class Fitting:
    """Drops the overrides of keys that only other jobs have.

    With `model=cn,ncn encoder.hidden=16`, ncn alone has a width. A key that no job has is a
    mistake: it stays, and Hydra reports it.

    Args:
        compose: composes the config of a job from its overrides, or raises Hydra's error.
    """

    def __init__(self, compose: Callable[[list[str]], Any]) -> None:
        self._compose = compose
        self._lacking: dict[tuple[str, ...], frozenset[str]] = {}
        self._warned: set[str] = set()

    def of(self, jobs: Sequence[Sequence[str]]) -> list[list[str]]:
        """The overrides of each job, without those of keys that it lacks."""
        lacking = [self._lacking_keys(overrides) for overrides in jobs]
        mistaken = frozenset.intersection(*lacking) if lacking else frozenset()
        kept = []
        for overrides, lost in zip(jobs, lacking, strict=True):
            out = [line for line in overrides if _key(line) in lost - mistaken]
            kept.append([line for line in overrides if line not in out])
            for line in out:
                self._warn_once(f"{line} is left out of {_name_job(overrides)}: it has no such key")
        return kept

    def _warn_once(self, line: str) -> None:
        if line not in self._warned:
            self._warned.add(line)
            log.warning("%s", line)

    def _lacking_keys(self, overrides: Sequence[str]) -> frozenset[str]:
        choices = tuple(line for line in overrides if "." not in _key(line))
        keys = tuple(sorted(_key(line) for line in overrides))
        place = (*choices, *keys)
        if place not in self._lacking:
            self._lacking[place] = self._find_lacking_keys(overrides)
        return self._lacking[place]

    def _find_lacking_keys(self, overrides: Sequence[str]) -> frozenset[str]:
        lost: set[str] = set()
        while True:
            left = [line for line in overrides if _key(line) not in lost]
            try:
                self._compose(left)
            except ConfigCompositionException as error:
                found = _UNKNOWN.search(str(error))
                key = found.group(1) if found else None
                if key is None or "not in struct" not in _join_causes(error) or key in lost:
                    return frozenset(lost)
                if not any(_key(line) == key for line in left):
                    return frozenset(lost)
                lost.add(key)
            except Exception:  # reported when the job is composed to run
                return frozenset(lost)
            else:
                return frozenset(lost)


def _join_causes(error: BaseException | None) -> str:
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    return " ".join(texts)


def _key(line: str) -> str:
    return line.partition("=")[0]


def _name_job(overrides: Sequence[str]) -> str:
    chosen = [line for line in overrides if _key(line) in ("model", "dataset", "encoder")]
    return " ".join(chosen) or "the job"
