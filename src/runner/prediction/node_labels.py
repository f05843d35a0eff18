"""Nodes by their names, or by their numbers where these are their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Literal, overload

import numpy as np
import pyarrow
import pyarrow.compute
import torch
from torch import Tensor

from runner.errors import RunnerError

_NUMBER = r"^(0|[1-9]\d{0,17})$"
_SHOWN = 3  # names in a message

Side = Literal["source", "target"]
SIDES: tuple[Side, Side] = ("source", "target")


class NodeLabels(Sequence[str | int]):
    """The labels of nodes 0 to N - 1: names, or the numbers themselves.

    A name that is a whole number is found as a number too: `5` and `"5"` are one node.

    Args:
        names: (N,) strings; None where nodes are their numbers.
        num_sources: of a bipartite graph, whose two kinds of nodes may share names.
    """

    def __init__(
        self, names: Sequence[str] | None, num_nodes: int, num_sources: int | None = None
    ) -> None:
        self._names = names
        self._num_nodes = num_nodes
        self._num_sources = num_sources
        self._texts = cache(self._make_texts)

    def __len__(self) -> int:
        return self._num_nodes

    @overload
    def __getitem__(self, node: int) -> str | int: ...
    @overload
    def __getitem__(self, node: slice) -> Sequence[str | int]: ...
    def __getitem__(self, node: int | slice) -> str | int | Sequence[str | int]:
        return (range(self._num_nodes) if self._names is None else self._names)[node]

    def __iter__(self) -> Iterator[Any]:
        return iter(range(self._num_nodes) if self._names is None else self._names[:])

    def __repr__(self) -> str:
        shown = ", ".join(repr(label) for label in self[:_SHOWN])
        return f"<{len(self)} nodes: {shown}{', …' if len(self) > _SHOWN else ''}>"

    @property
    def are_numbers(self) -> bool:
        """Whether nodes have no names but their numbers."""
        return self._names is None

    def of(self, nodes: Tensor | np.ndarray) -> np.ndarray:
        """The labels of nodes, (n,) int64: (n,) objects, or the numbers."""
        numbers = np.asarray(nodes)
        if self._names is None:
            return numbers
        return self._texts(None).take(pyarrow.array(numbers)).to_numpy(zero_copy_only=False)

    def find(self, labels: Any, side: Side | None = None) -> np.ndarray:
        """The number of each label, (n,) int64; -1 where no node has it.

        Args:
            labels: (n,) texts or whole numbers: a sequence, an array, or a pyarrow array.
            side: of a bipartite graph; None looks at sources first.
        """
        found = _as_array(labels)
        if self._names is None and pyarrow.types.is_integer(found.type):
            numbers = found.cast(pyarrow.int64(), safe=False).fill_null(-1)
            return self._in_range(numbers.to_numpy(zero_copy_only=False), side)
        texts = _as_text(found)
        if self._names is not None:
            of_side = None if self._num_sources is None else side
            places = pyarrow.compute.index_in(texts, self._texts(of_side)).fill_null(-1)
            numbers = places.to_numpy(zero_copy_only=False).astype(np.int64)
            return numbers if of_side != "target" else self._shifted(numbers)
        is_number = pyarrow.compute.match_substring_regex(texts, _NUMBER)
        numbers = pyarrow.compute.if_else(is_number, texts, None).cast(pyarrow.int64())
        return self._in_range(numbers.fill_null(-1).to_numpy(zero_copy_only=False), side)

    def require(self, labels: Any, side: Side | None = None) -> Tensor:
        """The number of each label, (n,) int64.

        Raises:
            RunnerError: if no node has a label, with the nearest ones; or if both kinds of nodes
                of a bipartite graph have it, and `side` is not given.
        """
        numbers = self.find(labels, side)
        unknown = np.flatnonzero(numbers < 0)
        if len(unknown):
            first = labels[int(unknown[0])]
            more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
            raise RunnerError(f"{first!s}{more}: {self.why_unknown(first, side)}")
        if side is None and self._num_sources is not None and self._names is not None:
            shared = np.flatnonzero(
                (self.find(labels, "target") >= 0) & (numbers < self._num_sources)
            )
            if len(shared):
                raise RunnerError(
                    f"{labels[int(shared[0])]!s}: a source and a target have this name; say which "
                    "(side=source, side=target)"
                )
        return torch.from_numpy(numbers.copy())

    def require_either(self, labels: Any) -> Tensor:
        """All nodes that have one of the labels, ascending; a shared name stands for both.

        Raises:
            RunnerError: if no node has a label, with the nearest ones.
        """
        sides: Sequence[Side | None] = [None]
        if self._num_sources is not None and self._names is not None:
            sides = ["source", "target"]
        found = np.stack([self.find(labels, side) for side in sides])
        unknown = np.flatnonzero((found < 0).all(axis=0))
        if len(unknown):
            first = labels[int(unknown[0])]
            raise RunnerError(f"{first!s}: {self.why_unknown(first)}")
        return torch.from_numpy(np.unique(found[found >= 0]))

    def why_unknown(self, label: Any, side: Side | None = None) -> str:
        """Words for a label that no node has, with the nearest ones."""
        if label is None or label != label:
            return "an empty cell is no node"
        if self._names is None:
            first, last = self._bounds(side)
            kind = "node" if self._num_sources is None or side is None else side
            return f"no {kind} has this number; {kind}s are {first} to {last - 1}"
        from rapidfuzz import process  # slow to import

        near = process.extract(str(label), self._names[:], limit=_SHOWN, score_cutoff=60)
        hint = f"; near are {', '.join(name for name, _, _ in near)}" if near else ""
        return f"no node has this name{hint}"

    def _in_range(self, numbers: np.ndarray, side: Side | None) -> np.ndarray:
        first, last = self._bounds(side)
        return np.where((numbers >= first) & (numbers < last), numbers, -1)

    def _bounds(self, side: Side | None) -> tuple[int, int]:
        """The numbers of the nodes of a side: from the first to before the last."""
        if side is None or self._num_sources is None:
            return 0, self._num_nodes
        cut = self._num_sources
        return (0, cut) if side == "source" else (cut, self._num_nodes)

    def _shifted(self, numbers: np.ndarray) -> np.ndarray:
        assert self._num_sources is not None
        return np.where(numbers >= 0, numbers + self._num_sources, -1)

    def _make_texts(self, side: Side | None) -> pyarrow.Array:
        assert self._names is not None
        return pyarrow.array(self._names[slice(*self._bounds(side))], pyarrow.large_string())


def texts_of(labels: Any) -> list[str | None]:
    """Labels, in any form of `NodeLabels.find`, as texts; None where there is none."""
    return _as_text(_as_array(labels)).to_pylist()


def _as_array(labels: Any) -> pyarrow.Array:
    if isinstance(labels, pyarrow.Array):
        return labels
    if isinstance(labels, Tensor):
        labels = labels.numpy()
    try:
        return pyarrow.array(labels, from_pandas=True)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):  # numbers beside names
        return pyarrow.array([None if x is None else str(x) for x in labels], pyarrow.string())


def _as_text(values: pyarrow.Array) -> pyarrow.Array:
    """Texts without blanks around; those of whole numbers are the same for every type of number."""
    kind = values.type
    if pyarrow.types.is_dictionary(kind):
        return _as_text(values.dictionary_decode())
    if pyarrow.types.is_floating(kind):
        whole = pyarrow.compute.equal(values, pyarrow.compute.round(values))
        numbers = values.cast(pyarrow.int64(), safe=False).cast(pyarrow.large_string())
        texts = pyarrow.compute.if_else(whole, numbers, values.cast(pyarrow.large_string()))
        return pyarrow.compute.if_else(pyarrow.compute.is_nan(values), None, texts)
    return pyarrow.compute.utf8_trim_whitespace(values.cast(pyarrow.large_string()))
