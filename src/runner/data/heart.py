"""The split and the negatives of HeaRT (Li et al. 2023, arXiv 2306.10453), from its files."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from runner.data import heart_archive
from runner.data.link_data import EvaluationSplit
from runner.data.whole_graph import LinkSplit, Split, WholeGraph, distinct_links
from runner.errors import RunnerError

NEGATIVES = 500  # of each positive; the first half keeps its source, the second its target
_NOTE = "HeaRT: features are Planetoid's; gnn_feature, which the release trains on, is not read"


class HeartSplit(LinkSplit):
    """The links of HeaRT's files, with their negatives.

    The files lie in `heart/<dataset>` below the folder of the data, as in the archive.

    Args:
        own_negatives: each positive has 500 of its own; False: the existing setting, in which all
            positives of a part share some that are uniform.
    """

    def __init__(self, *, own_negatives: bool) -> None:
        self.own_negatives = own_negatives

    def split(self, whole: WholeGraph) -> Split:
        if whole.root is None:
            raise RunnerError(
                "protocol: HeaRT has no files for this dataset; use dataset=cora, dataset=citeseer "
                "or dataset=pubmed, or protocol=random"
            )
        files = _Files(whole, Path(whole.root).expanduser() / "heart" / whole.name)
        files.require(self.own_negatives)
        rows = {part: files.pairs(f"{part}_pos.txt") for part in ("train", "valid", "test")}
        # Every loader of the release skips self-loops.
        links = {part: pairs[:, pairs[0] != pairs[1]] for part, pairs in rows.items()}
        files.check_links(links)
        negatives = {
            part: files.own_negatives(f"heart_{part}_samples.npy", links[part])
            if self.own_negatives
            else files.shared_negatives(f"{part}_neg.txt", rows[part])
            for part in ("valid", "test")
        }
        loops = sum(rows[part].shape[1] - links[part].shape[1] for part in rows)
        skipped = [f"HeaRT: {loops} self-loops of its files are skipped"] if loops else []
        return Split(
            links["train"],
            EvaluationSplit(links["valid"], negatives["valid"]),
            EvaluationSplit(links["test"], negatives["test"]),
            told=(*links.values(), *negatives.values()),
            notes=(_NOTE, *skipped),
            facts={"self-loops skipped": loops},
        )


class _Files:
    """The files of one dataset, checked against its graph."""

    def __init__(self, whole: WholeGraph, folder: Path) -> None:
        self.whole = whole
        self.folder = folder

    def require(self, own_negatives: bool) -> None:
        """Refuse a folder that lacks files."""
        wanted = [*heart_archive.LINKS, *heart_archive.negatives(own_negatives)]
        missing = [name for name in wanted if not (self.folder / name).is_file()]
        if missing:
            raise RunnerError(
                f"protocol: {self.folder} lacks {', '.join(missing)}; {self._remedy()}, or point "
                "dataset.root (or RUNNER_DATA) at a folder that has them"
            )

    def pairs(self, name: str) -> Tensor:
        """The rows of a text file, (2, R) int64."""
        path = self.folder / name
        try:
            lines = [line.split() for line in path.read_text().splitlines()]
            rows = np.array(lines, dtype=np.int64).reshape(-1, 2)
        except (OSError, ValueError) as error:
            raise self._damaged(name, f"it has no rows of two numbers ({error})") from None
        if len(rows) != len(lines) or not len(rows):
            raise self._damaged(name, "it has no rows of two numbers")
        return self._inside(name, torch.from_numpy(rows.T.copy()))

    def check_links(self, links: dict[str, Tensor]) -> None:
        """Refuse parts that are not, together, the links of the graph, each once."""
        for part, pairs in links.items():
            unknown = pairs[:, ~self.whole.has(pairs)]
            if unknown.shape[1]:
                u, v = unknown[:, 0].tolist()
                raise self._damaged(f"{part}_pos.txt", f"{u} and {v} have no link in the graph")
        every = torch.cat(list(links.values()), dim=1)
        count = distinct_links(every.sort(dim=0).values, self.whole.num_nodes).shape[1]
        if not count == every.shape[1] == self.whole.num_links:
            raise self._damaged(
                "*_pos.txt",
                f"they have {every.shape[1]} links, {count} different ones, and the graph has "
                f"{self.whole.num_links}",
            )

    def own_negatives(self, name: str, positive: Tensor) -> Tensor:
        """Those of a NumPy file, (2, P, 500) int64, for (2, P) positives in the same order."""
        try:
            found = np.load(self.folder / name, allow_pickle=False)
        except (OSError, ValueError, EOFError, MemoryError) as error:
            raise self._damaged(name, f"NumPy cannot read it ({error})") from None
        shape = (positive.shape[1], NEGATIVES, 2)
        if not isinstance(found, np.ndarray) or (found.shape, found.dtype) != (shape, np.int64):
            raise self._damaged(name, f"it holds no int64 array of shape {shape}")
        negative = self._inside(name, torch.from_numpy(found.transpose(2, 0, 1).copy()))
        source, target = negative == positive.unsqueeze(2)
        kept = torch.where(torch.arange(NEGATIVES) < NEGATIVES // 2, source, target)
        wrong = (~kept | source & target).any(dim=1)
        if wrong.any():
            raise self._damaged(
                name,
                f"row {int(wrong.nonzero()[0]) + 1} does not keep one end of its positive and "
                "change the other",
            )
        return negative

    def shared_negatives(self, name: str, positive: Tensor) -> Tensor:
        """Those of a text file, (2, R) int64, as many as the rows of the positives."""
        negative = self.pairs(name)
        if negative.shape != positive.shape:
            raise self._damaged(
                name, f"it has {negative.shape[1]} rows for {positive.shape[1]} positives"
            )
        return negative

    def _inside(self, name: str, nodes: Tensor) -> Tensor:
        last = self.whole.num_nodes - 1
        outside = nodes[(nodes < 0) | (nodes > last)]
        if len(outside):
            raise self._damaged(name, f"node {int(outside[0])} is not among 0 to {last}")
        return nodes

    def _damaged(self, name: str, why: str) -> RunnerError:
        return RunnerError(
            f"protocol: {self.folder / name} is damaged, or of another graph: {why}; "
            f"delete it, then {self._remedy()}"
        )

    def _remedy(self) -> str:
        root = shlex.quote(str(self.whole.root))
        return (
            f"run `python -m runner.data.heart_archive {root}`, which downloads what is missing "
            f"(880 MB) from {heart_archive.URL}"
        )
