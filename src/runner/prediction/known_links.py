"""The links that a dataset has, in any part of its split."""

from __future__ import annotations

import torch
from torch import Tensor

from runner.data.link_data import LinkData


class KnownLinks:
    """Looks pairs up among all links; of a directed graph, as ordered pairs.

    Shapes:
        links: (2, M) int64.
    """

    def __init__(self, links: Tensor, num_nodes: int, *, directed: bool) -> None:
        self._num_nodes = num_nodes
        self._directed = directed
        self._keys = self._key(links).unique()

    @classmethod
    def of(cls, data: LinkData) -> KnownLinks:
        links = torch.cat(list(data.links.values()), dim=1)
        return cls(links, data.num_nodes, directed=data.directed)

    def __len__(self) -> int:
        return self._keys.numel()

    def has(self, pairs: Tensor) -> Tensor:
        """Whether each of ``pairs``, (2, P), is a link: (P,) bool."""
        keys = self._key(pairs)
        place = torch.searchsorted(self._keys, keys).clamp_(max=max(0, len(self) - 1))
        return self._keys[place] == keys if len(self) else torch.zeros_like(keys, dtype=torch.bool)

    def _key(self, pairs: Tensor) -> Tensor:
        ends = pairs if self._directed else pairs.sort(dim=0).values
        return ends[0] * self._num_nodes + ends[1]
