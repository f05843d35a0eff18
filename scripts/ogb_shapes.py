"""Generated graphs in the shapes of ogbl-ppa and ogbl-citation2, in the layout of OGB.

Of the real datasets they have the numbers of nodes, edges, features, held-out links and negatives;
who is linked to whom is an affiliation model's, so that scores on them say nothing.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from runner.data.synthetic import affiliation_edges

_BLOCK = 1 << 16  # rows that are written at a time
_DIFFERENT = 4096  # rows of features, which repeat


def ogbl_ppa(folder: Path, *, scale: float, seed: int) -> None:
    """576,289 proteins of 58 species, 30,326,273 links, 3,000,000 negatives twice."""
    nodes, train, valid, test, negatives = _scaled(
        scale, 576_289, 21_231_931, 6_062_562, 3_031_780, 3_000_000
    )
    generator = np.random.default_rng(seed)
    edges = _edges(nodes, train + valid + test, 1000, generator)
    parts = np.split(edges, [train, train + valid], axis=1)
    _write_raw(folder, nodes, parts[0])
    species = generator.integers(58, size=nodes)
    rows = [b",".join(b"01"[i == s : (i == s) + 1] for i in range(58)) + b"\n" for s in range(58)]
    _write_rows(
        folder / "raw/node-feat.csv.gz", lambda block: (rows[i] for i in species[block]), nodes
    )
    for name, part in zip(("train", "valid", "test"), parts, strict=True):
        split = {"edge": torch.from_numpy(part.T.copy())}
        if name != "train":
            drawn = generator.integers(nodes, size=(negatives, 2))
            split["edge_neg"] = torch.from_numpy(drawn)
        _save(folder / f"split/throughput/{name}.pt", split)


def ogbl_citation2(folder: Path, *, scale: float, seed: int) -> None:
    """2,927,963 papers, 30,561,187 citations, 86,596 held out twice, 1,000 negatives for each."""
    nodes, train, held_out = _scaled(scale, 2_927_963, 30_387_995, 86_596)
    generator = np.random.default_rng(seed)
    edges = _edges(nodes, train + 2 * held_out, 300, generator)
    parts = np.split(edges, [train, train + held_out], axis=1)
    _write_raw(folder, nodes, parts[0])
    features = generator.standard_normal((_DIFFERENT, 128)).round(4)
    rows = [(",".join(map(str, row)) + "\n").encode() for row in features.tolist()]
    which = generator.integers(_DIFFERENT, size=nodes)
    _write_rows(
        folder / "raw/node-feat.csv.gz", lambda block: (rows[i] for i in which[block]), nodes
    )
    years = generator.integers(1990, 2020, size=nodes)
    _write_rows(
        folder / "raw/node_year.csv.gz", lambda block: (b"%d\n" % y for y in years[block]), nodes
    )
    for name, (source, target) in zip(("train", "valid", "test"), parts, strict=True):
        split = {"source_node": torch.from_numpy(source), "target_node": torch.from_numpy(target)}
        if name != "train":
            drawn = torch.from_numpy(generator.integers(nodes, size=(held_out, 1000)))
            split["target_node_neg"] = drawn
        _save(folder / f"split/time/{name}.pt", split)


def _scaled(scale: float, *sizes: int) -> list[int]:
    return [max(1, round(size * scale)) for size in sizes]


def _edges(nodes: int, count: int, topic_size: int, generator: np.random.Generator) -> np.ndarray:
    """(2, count) int64, each once, in random order and direction."""
    topic = generator.permutation(np.arange(nodes) % max(1, nodes // topic_size))
    edges = affiliation_edges(topic, count, generator)[:, generator.permutation(count)]
    turned = generator.random(count) < 0.5
    edges[:, turned] = edges[::-1, turned]
    return edges


def _write_raw(folder: Path, nodes: int, edges: np.ndarray) -> None:
    (folder / "raw").mkdir(parents=True)
    lines = lambda block: (b"%d,%d\n" % (u, v) for u, v in edges[:, block].T.tolist())  # noqa: E731
    _write_rows(folder / "raw/edge.csv.gz", lines, edges.shape[1])
    for name, number in (("num-node-list", nodes), ("num-edge-list", edges.shape[1])):
        _write_rows(folder / f"raw/{name}.csv.gz", lambda _, n=number: [b"%d\n" % n], 1)
    (folder / "RELEASE_v1.txt").write_text("# Generated, not the real dataset\n")


def _write_rows(path: Path, rows: Callable[[slice], Iterator[bytes]], count: int) -> None:
    with gzip.GzipFile(path, "wb", compresslevel=1, mtime=0) as file:
        for begin in range(0, count, _BLOCK):
            file.write(b"".join(rows(slice(begin, min(begin + _BLOCK, count)))))


def _save(path: Path, split: dict[str, torch.Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: value.numpy() for name, value in split.items()}, path)
