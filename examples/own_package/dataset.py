"""A dataset: a ring with chords."""

from __future__ import annotations

import torch

from runner.data.link_data import LinkData
from runner.data.whole_graph import LinkSplit, WholeGraph, split_data
from runner.keys import PositiveInt, Seed


def ring(*, num_nodes: PositiveInt, chords: PositiveInt, seed: Seed, split: LinkSplit) -> LinkData:
    """A ring whose nodes are linked to the next two, with random chords; without features."""
    nodes = torch.arange(num_nodes)
    generator = torch.Generator().manual_seed(seed)
    far = torch.randint(num_nodes, (2, chords), generator=generator)
    steps = [torch.stack([nodes, (nodes + step) % num_nodes]) for step in (1, 2)]
    whole = WholeGraph.of(torch.cat([*steps, far], dim=1), num_nodes)
    return split_data(whole, split, features=None)
