"""How far one number of the batch, untrained, tells the links of ogbl-ddi from its negatives.

    python scripts/ocn_batch_statistic.py       # seconds; RUNNER_DATA has ogb/ogbl_ddi

The release of OCN (arXiv 2505.19719) weighs a common neighbour w by 1 / k1, where k1 is how many
pairs of the batch have w in common. Here a pair that has the largest hub of the training graph in
common scores this k1, and every other pair 0: nothing is trained. Batches of the published size are
scored as the release evaluates, positives apart from negatives in file order, and in common
batches. A last, short batch has another k1 whatever is in it, and is left out.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from runner.data.ogb import ogb_link
from runner.ops.csr import Graph

BATCH = 32_768  # published for ogbl-ddi


@dataclass(frozen=True)
class Found:
    """What a batch tells.

    Attributes:
        above: share of the positives above every negative.
        positive, negative: least and largest k1 of the batches that hold any.
    """

    above: float
    positive: tuple[int, int]
    negative: tuple[int, int]


def statistic(
    graph: Graph, positives: Tensor, negatives: Tensor, *, batch_size: int, mixed: bool
) -> Found:
    """Score pairs, (2, P) and (2, K), by the k1 of the largest hub.

    Args:
        mixed: in common batches, in an order drawn with a fixed seed.
    """
    hub = int(graph.degree().argmax())
    linked = torch.zeros(graph.num_nodes, dtype=torch.bool)
    linked[graph.col[graph.rowptr[hub] : graph.rowptr[hub + 1]].long()] = True
    sides = [linked[pairs[0]] & linked[pairs[1]] for pairs in (positives, negatives)]
    is_positive = [
        torch.full_like(side, first) for side, first in zip(sides, (True, False), strict=True)
    ]
    parts = list(zip(sides, is_positive, strict=True))
    if mixed:
        common, kind = torch.cat(sides), torch.cat(is_positive)
        order = torch.randperm(common.numel(), generator=torch.Generator().manual_seed(0))
        parts = [(common[order], kind[order])]
    k1, scores, kinds = [], [], []
    for common, kind in parts:
        full = common.numel() // batch_size
        batches = common[: full * batch_size].view(full, batch_size)
        counts = batches.sum(1, keepdim=True)
        k1.append(counts.expand_as(batches).flatten())
        scores.append((batches * counts).flatten())
        kinds.append(kind[: full * batch_size])
    k1_of, score, kind = torch.cat(k1), torch.cat(scores), torch.cat(kinds)
    if not kind.any() or kind.all():
        raise SystemExit(f"a side has no full batch of {batch_size} pairs: give a smaller --batch")
    above = (score[kind] > score[~kind].max()).double().mean()
    ranges = [tuple(int(x) for x in k1_of[side].aminmax()) for side in (kind, ~kind)]
    return Found(float(above), *ranges)


def table(graph: Graph, splits: dict[str, tuple[Tensor, Tensor]], batch_size: int) -> pd.DataFrame:
    rows = []
    for name, sides in splits.items():
        for mixed in (False, True):
            found = statistic(graph, *sides, batch_size=batch_size, mixed=mixed)
            rows.append({
                "split": name,
                "company": "mixed" if mixed else "apart",
                "k1 with positives": "{:,} to {:,}".format(*found.positive),
                "k1 with negatives": "{:,} to {:,}".format(*found.negative),
                "positives above all negatives, %": f"{100 * found.above:.1f}",
            })  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=BATCH, help="pairs scored together")
    batch_size = parser.parse_args().batch
    root = os.environ.get("RUNNER_DATA", "data")
    cache = os.environ.get("RUNNER_CACHE", str(Path.home() / ".cache" / "runner"))
    data = ogb_link(name="ogbl-ddi", root=root, cache=cache, features="node_id")
    graph = Graph.from_edges(data.train, data.num_nodes)
    splits = {
        name: (split.positive, split.negative)
        for name, split in (("valid", data.valid), ("test", data.test))
    }
    print(table(graph, splits, batch_size).to_markdown(index=False))


if __name__ == "__main__":
    main()
