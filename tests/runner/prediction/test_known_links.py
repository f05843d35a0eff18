from __future__ import annotations

import torch

from runner.prediction.known_links import KnownLinks

LINKS = torch.tensor([[0, 3, 2, 0], [1, 2, 3, 1]])
PAIRS = torch.tensor([[0, 1, 2, 3, 0], [1, 0, 3, 2, 2]])


def test_undirected_links_are_known_in_both_orders():
    known = KnownLinks(LINKS, 4, directed=False)
    assert known.has(PAIRS).tolist() == [True, True, True, True, False]
    assert len(known) == 2


def test_directed_links_are_known_in_their_order_alone():
    known = KnownLinks(LINKS[:, :2], 4, directed=True)
    assert known.has(PAIRS).tolist() == [True, False, False, True, False]


def test_no_links():
    assert not KnownLinks(LINKS[:, :0], 4, directed=False).has(PAIRS).any()
