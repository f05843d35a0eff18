"""What it does to MRR when a link's negatives are scored with the sources of other links.

    python scripts/tiled_negatives.py <run folder> …      # seconds each, for graphs of thousands

ogbl-citation2 ranks a link (s, t) among 1,000 links (s, t') with random targets. The release of
Refined-GAE (arXiv 2411.03845) takes the sources by `repeat(1, 1000).view(-1)`, which repeats the
whole list, and the targets row by row: the targets of a link meet 1,000 different sources. Here the
test links of finished runs are ranked both ways, among targets drawn as ogbl-citation2 draws them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import runner
from runner.config.schema import RunConfig
from runner.data.link_data import LinkData
from runner.experiment.build import load_data
from runner.training.metrics import mrr

TARGETS = 1000


def draw_targets(data: LinkData, generator: torch.Generator) -> Tensor:
    """Targets of each test link, (P, 1000) int64: uniform, but its source and that one's links."""
    linked = torch.eye(data.num_nodes, dtype=torch.bool)
    for u, v in (data.train, data.valid.positive, data.test.positive):
        linked[u, v] = linked[v, u] = True
    free = ~linked[data.test.positive[0]]
    return torch.multinomial(free.double(), TARGETS, replacement=True, generator=generator)


def both_ways(run: runner.Run, seed: int) -> tuple[float, float]:
    """MRR with the link's own source, and with the tiled ones."""
    data = load_data(RunConfig.read(run.config))
    targets = draw_targets(data, torch.Generator().manual_seed(seed))
    sources = data.test.positive[0]
    own = sources.unsqueeze(1).expand_as(targets)
    tiled = sources.repeat(TARGETS).view(targets.shape)
    positive = _scores(run, data.test.positive)
    right, wrong = (
        mrr(positive, _scores(run, torch.stack([of.flatten(), targets.flatten()])).view(of.shape))
        for of in (own, tiled)
    )
    return right, wrong


def _scores(run: runner.Run, pairs: Tensor) -> Tensor:
    return torch.from_numpy(np.asarray(run.score_numbers(pairs)[0]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the targets")
    arguments = parser.parse_args()
    rows = []
    for folder in arguments.folders:
        run = runner.load(folder)
        right, wrong = both_ways(run, arguments.seed)
        of = run.config["run"]
        rows.append((of["dataset"], of["model"], f"{100 * right:.2f}", f"{100 * wrong:.2f}"))
    columns = ["dataset", "model", "MRR %, own source", "MRR %, tiled sources"]
    print(pd.DataFrame(rows, columns=columns).to_markdown(index=False, disable_numparse=True))


if __name__ == "__main__":
    main()
