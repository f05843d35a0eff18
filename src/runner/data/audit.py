"""Leaks: links that stand in two parts of a split, and negatives that are positives."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from runner.config.schema import Overlap
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.storage.checksums import read_json, write_json

log = logging.getLogger(__name__)


OVERLAPS = get_args(Overlap)


@dataclass(frozen=True)
class Audit:
    """How many rows of one part stand, in either direction, in another; by name of the overlap.

    Names are `<part>_in_<part>`, the parts train, valid, test, valid_support, test_support,
    valid_negative and test_negative, and `self_loops`. A link may be scored in validation and be
    support of the test.
    """

    counts: dict[str, int]

    @property
    def overlaps(self) -> dict[str, int]:
        """The counts that are not zero."""
        return {name: count for name, count in self.counts.items() if count}


def audit(data: LinkData, *, cache: Path, keep: bool = True) -> Audit:
    """Count every overlap; computed once for each data fingerprint and kept below `cache`.

    Links are compared as unordered pairs, but for the negatives of directed data: there (a, b) may
    be a negative where (b, a) is a link.

    Args:
        keep: what is counted is written to `cache`.
    """
    path = cache / "audits" / f"{data.fingerprint}.json"
    try:
        kept = read_json(path)
        if kept.keys() == set(OVERLAPS):
            return Audit(kept)
    except OSError:
        pass
    except ValueError:
        log.warning("the kept leak audit %s does not match its checksum and is made anew", path)
    found = Audit(_count(data))
    if keep:
        try:
            write_json(path, found.counts)
        except OSError as error:
            log.debug("the audit is not kept: %s", error)
    return found


def _count(data: LinkData) -> dict[str, int]:
    none = data.train[:, :0]
    links = {"valid_support": none, "test_support": none, **data.links}
    negatives = {
        "valid_negative": data.valid.negative.reshape(2, -1),
        "test_negative": data.test.negative.reshape(2, -1),
    }
    undirected = {name: link_keys(pairs, data.num_nodes, False) for name, pairs in links.items()}
    counts = {
        f"{part}_in_{other}": _inside(undirected[part], undirected[other])
        for part, other in _NOT_INSIDE
    }
    as_drawn = {
        name: link_keys(pairs, data.num_nodes, data.directed)
        for name, pairs in {**links, **negatives}.items()
    }
    for negative in negatives:
        for part in links:
            counts[f"{negative}_in_{part}"] = _inside(as_drawn[negative], as_drawn[part])
    counts["self_loops"] = sum(
        int((pairs[0] == pairs[1]).sum()) for pairs in [*links.values(), *negatives.values()]
    )
    return counts


_NOT_INSIDE = (
    ("valid", "train"), ("test", "train"), ("test", "valid"),
    ("valid", "valid_support"), ("test", "valid_support"), ("test", "test_support"),
)  # fmt: skip


def link_keys(pairs: Tensor, num_nodes: int, directed: bool) -> Tensor:
    """A number for each of the pairs, (2, M) int64; the same in both directions unless directed."""
    first, second = pairs if directed else pairs.sort(dim=0).values
    return first * num_nodes + second


def _inside(keys: Tensor, others: Tensor) -> int:
    return int(torch.isin(keys, others).sum())


def enforce(audit: Audit, *, official: bool, permitted: Sequence[str]) -> list[tuple[int, str]]:
    """Judge the overlaps: an error on our own splits, a line each where they are official.

    Args:
        official: the split is given by a benchmark, not drawn by us.
        permitted: overlaps that the benchmark's protocol is known to have.

    Returns:
        A line for each overlap and the level of `logging` that it deserves: a warning unless the
        protocol permits it.

    Raises:
        RunnerError: if one of our own splits leaks.
    """
    leaks = {name: count for name, count in audit.overlaps.items() if name not in permitted}
    lines = [f"leak audit: {count:,} rows are {_words(name)}" for name, count in leaks.items()]
    if leaks and not official:
        raise RunnerError(
            f"{'; '.join(lines)}; the split leaks and its results would mean nothing. "
            "Allow it by name in protocol.permitted_overlaps if the protocol wants it so"
        )
    allowed = [
        f"leak audit: {count:,} rows are {_words(name)}, as the protocol permits"
        for name, count in audit.overlaps.items()
        if name in permitted
    ]
    return [(logging.WARNING, line) for line in lines] + [(logging.INFO, line) for line in allowed]


def _words(name: str) -> str:
    return name.replace("_in_", " links in ").replace("_", " ")
