"""Runs that are judged differently, told apart by their protocols' names and contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from runner.comparison.run import Run
from runner.comparison.settings import in_words, nested
from runner.config.facts import effect_of, later
from runner.keys import Effect

_JUDGING = ("protocol.split.", "protocol.negatives.", "protocol.validation_edges_in_test_graph")

Content = frozenset[tuple[str, Hashable]]


def distinguish_protocols(runs: Sequence[Run]) -> list[Run]:
    """Name the protocol of each run where the runs of a dataset have several.

    Figures of different protocols do not compare: they are of datasets with different names. Where
    one name stands for several contents, the keys in which these differ are named too.
    """
    names: dict[str, set[str]] = {}
    contents: dict[tuple[str, str], set[Content]] = {}
    judged = [_content(run.settings) for run in runs]
    for run, content in zip(runs, judged, strict=True):
        if run.protocol:
            names.setdefault(run.dataset, set()).add(run.protocol)
        if run.protocol and content:  # there is none where the config cannot be read
            contents.setdefault((run.dataset, run.protocol), set()).add(content)
    told = {name: _in_words(several) for name, several in contents.items()}

    def named(run: Run, content: Content) -> Run:
        words = told.get((run.dataset, run.protocol), {})
        if not run.protocol or (len(names[run.dataset]) == 1 and not any(words.values())):
            return run
        of = f" ({words[content]})" if words.get(content) else ""
        return replace(run, dataset=f"{run.dataset}, {run.protocol}{of}")

    return [named(run, content) for run, content in zip(runs, judged, strict=True)]


def _content(settings: Mapping[str, Any]) -> Content:
    return frozenset(
        (key, value if isinstance(value, Hashable) else in_words(value))
        for key, value in settings.items()
        if key.startswith(_JUDGING) and _judges(key, settings.get(_target_of(key)))
    )


@cache
def _judges(key: str, target: Hashable) -> bool:
    return effect_of(key, {_target_of(key): target}) is Effect.RESULT


def _target_of(key: str) -> str:
    return f"{key.rpartition('.')[0]}._target_"


def _in_words(several: Collection[Content]) -> dict[Content, str]:
    """What distinguishes each content from the others; empty texts if all mean the same."""
    if len(several) < 2:  # of most datasets
        return {}
    whole = {content: dict(content) | dict(_before(content)) for content in several}
    keys = sorted({key for of in whole.values() for key in of})
    varying = [key for key in keys if _varies(key, whole.values())]
    ends = Counter(_short(key) for key in varying)

    def word(key: str, value: Any) -> str:
        name = _short(key) if ends[_short(key)] == 1 else key.removeprefix("protocol.")
        text = str(value) if isinstance(value, float) else in_words(value)
        return f"{name} {text.rpartition('.')[2] if key.endswith('._target_') else text}"

    return {
        content: ", ".join(word(key, of[key]) for key in varying if key in of)
        for content, of in whole.items()
    }


def _before(content: Content) -> Iterator[tuple[str, Any]]:
    """The keys that are younger than a run, with what stands for them."""
    has = dict(content)
    for key, value in later(nested(has)):
        if key.startswith(_JUDGING) and key not in has:
            yield key, value


def _varies(key: str, several: Collection[Mapping[str, Any]]) -> bool:
    """Whether contents differ in a key; the arguments of two components do not compare."""
    owner = _target_of(key)
    found: dict[object, set[Hashable]] = {}
    for of in several:
        found.setdefault(None if key == owner else of.get(owner), set()).add(of.get(key))
    return any(len(values) > 1 for values in found.values())


def _short(key: str) -> str:
    """The last name of a key; of a component, that of its node."""
    return key.removesuffix("._target_").rpartition(".")[2]
