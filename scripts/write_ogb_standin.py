"""Write a generated stand-in of ogbl-collab in the layout of the Open Graph Benchmark (OGB).

    python scripts/write_ogb_standin.py --root data
    runner model=ncnc dataset=ogbl-collab dataset.root=data
    python scripts/write_ogb_standin.py --root data --dataset ogbl-ppa      # or ogbl-citation2

The sizes are those of the real dataset; the content is a random affiliation graph, so scores on it
say nothing about the real one. For the time, memory and correctness of the whole path, offline.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ogb_shapes import ogbl_citation2, ogbl_ppa

from runner.data.splits import sample_non_links
from runner.data.synthetic import affiliation_edges
from runner.data.whole_graph import WholeGraph
from runner.errors import RunnerError

# Of the real ogbl-collab.
NUM_NODES = 235_868
NUM_TRAIN_ROWS = 1_179_052
NUM_TRAIN_PAIRS = 967_632  # the other rows repeat a pair in a later year
NUM_VALID_ROWS = 60_084
NUM_TEST_ROWS = 46_329
NUM_NEGATIVES = 100_000  # for validation and for test
NUM_FEATURES = 128
FIRST_YEAR, VALID_YEAR, TEST_YEAR = 1963, 2018, 2019

# Ours. With topics of 150 authors, 65,536 pairs have 2.2 M one-sided neighbours.
TOPIC_SIZE = 150
REPEATED = 0.3  # share of the validation and test rows whose pair has met before
NOISE = 2.0
SMALLEST_SCALE = 0.001  # 100 negatives, as Hits@100 needs

Split = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Collaborations:
    """Authors and their co-authorships by year.

    Shapes:
        - ``features``: (N, 128) float
        - ``train``, ``valid``, ``test``: ``edge`` (R, 2), ``weight`` (R,) papers that year and
          ``year`` (R,); the last two also ``edge_neg`` (K, 2); all int64
    """

    features: np.ndarray
    train: Split
    valid: Split
    test: Split


def generate(scale: float, seed: int) -> Collaborations:
    """Draw the stand-in; `scale` multiplies every size but the number of features."""
    nodes, pairs, repeats, valid_rows, test_rows, negatives = (
        round(size * scale)
        for size in (
            NUM_NODES,
            NUM_TRAIN_PAIRS,
            NUM_TRAIN_ROWS - NUM_TRAIN_PAIRS,
            NUM_VALID_ROWS,
            NUM_TEST_ROWS,
            NUM_NEGATIVES,
        )
    )
    generator = np.random.default_rng(seed)
    topic = generator.permutation(np.arange(nodes) % max(1, nodes // TOPIC_SIZE))
    old_valid, old_test = round(valid_rows * REPEATED), round(test_rows * REPEATED)
    with_valid = pairs + valid_rows - old_valid
    everyone = affiliation_edges(topic, with_valid + test_rows - old_test, generator)

    # Prolific authors are found first, and so have met first.
    first_year = np.sort(_years_before(VALID_YEAR, pairs, generator))
    again, again_year = _meetings_again(first_year, repeats, generator)
    order = generator.permutation(pairs + repeats)
    met = np.concatenate([np.arange(pairs), again])[order]
    year = np.concatenate([first_year, again_year])[order]
    valid = _new_and_old(pairs, with_valid, old_valid, generator)
    test = _new_and_old(with_valid, everyone.shape[1], old_test, generator)

    whole = WholeGraph.of(torch.from_numpy(everyone), nodes)
    drawn = sample_non_links(whole, 2 * negatives, torch.Generator().manual_seed(seed))
    valid_negatives, test_negatives = np.split(drawn.T.numpy(), 2)
    centres = generator.standard_normal((int(topic.max()) + 1, NUM_FEATURES))
    features = 0.5 * centres[topic] + NOISE * generator.standard_normal((nodes, NUM_FEATURES))
    return Collaborations(
        features=features,
        train=_rows(everyone, met, year, generator),
        valid={
            **_rows(everyone, valid, np.full(len(valid), VALID_YEAR), generator),
            "edge_neg": valid_negatives,
        },
        test={
            **_rows(everyone, test, np.full(len(test), TEST_YEAR), generator),
            "edge_neg": test_negatives,
        },
    )


def _years_before(end: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Years from FIRST_YEAR to `end` - 1, growing in number towards the end."""
    ago = np.floor(generator.exponential(8.0, count)).astype(np.int64)
    return end - 1 - np.minimum(ago, end - 1 - FIRST_YEAR)


def _meetings_again(
    first_year: np.ndarray, count: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs, (count,), and a later year for each; no pair has the same year twice."""
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        pair = generator.integers(len(first_year), size=2 * count)
        year = first_year[pair] + 1 + generator.integers(VALID_YEAR - FIRST_YEAR, size=2 * count)
        key = pair * (TEST_YEAR + 1) + year
        keys, first = np.unique(np.concatenate([found, key[year < VALID_YEAR]]), return_index=True)
        found = keys[np.argsort(first)]
    return np.divmod(found[:count], TEST_YEAR + 1)


def _new_and_old(start: int, stop: int, old: int, generator: np.random.Generator) -> np.ndarray:
    """The pairs from `start` to `stop` and `old` of those before them, each once, shuffled."""
    before = generator.choice(start, size=old, replace=False)
    return generator.permutation(np.concatenate([np.arange(start, stop), before]))


def _rows(
    pairs: np.ndarray, index: np.ndarray, year: np.ndarray, generator: np.random.Generator
) -> Split:
    """The rows of `pairs` (2, P) at `index`, each in a random direction."""
    edge = pairs[:, index]
    turned = generator.random(len(index)) < 0.5
    return {
        "edge": np.where(turned, edge[::-1], edge).T.copy(),
        "weight": generator.geometric(0.7, len(index)),
        "year": year,
    }


def write_layout(
    folder: Path,
    *,
    num_nodes: int,
    edges: np.ndarray,
    edge_columns: Mapping[str, np.ndarray],
    features: np.ndarray | None,
    splits: Mapping[str, Mapping[str, np.ndarray]],
    split_type: str,
    release: str,
) -> None:
    """Write a link-prediction dataset as OGB unpacks it; the same arguments give the same bytes.

    Args:
        folder: the dataset's, as `ogbl_collab`; must not exist.
        edges: (M, 2), one direction each; `edge_columns`, (M,) each, by the file's name.
        features: (N, F) or None.
        splits: "train", "valid" and "test", each a dict of arrays.
        release: text of the release note.
    """
    (folder / "raw").mkdir(parents=True)
    tables = {"edge": edges, **edge_columns}
    tables |= {"num-node-list": np.array([num_nodes]), "num-edge-list": np.array([len(edges)])}
    if features is not None:
        tables["node-feat"] = features
    for name, table in tables.items():
        _write_csv(folder / "raw" / f"{name}.csv.gz", table)
    place = folder / "split" / split_type
    place.mkdir(parents=True)
    for name, split in splits.items():
        torch.save(dict(split), place / f"{name}.pt")
    (folder / "RELEASE_v1.txt").write_text(release)


def _write_csv(path: Path, table: np.ndarray) -> None:
    import pandas

    # The time of writing is left out of the archive: equal content, equal bytes.
    compression = {"method": "gzip", "mtime": 0, "compresslevel": 1}
    pandas.DataFrame(table).to_csv(path, header=False, index=False, compression=compression)


def write_collab(folder: Path, *, scale: float, seed: int) -> None:
    """Write the stand-in of ogbl-collab."""
    data = generate(scale, seed)
    write_layout(
        folder,
        num_nodes=len(data.features),
        edges=data.train["edge"],
        edge_columns={"edge_weight": data.train["weight"], "edge_year": data.train["year"]},
        features=data.features.round(4),
        splits={"train": data.train, "valid": data.valid, "test": data.test},
        split_type="time",
        release=(
            "# Generated stand-in for ogbl-collab, not the real dataset\n\n"
            f"scripts/write_ogb_standin.py --scale {scale:g} --seed {seed}\n"
        ),
    )


WRITERS = {
    "ogbl-collab": write_collab,
    "ogbl-ppa": ogbl_ppa,
    "ogbl-citation2": ogbl_citation2,
}


def write_standin(root: Path, *, scale: float, seed: int, dataset: str = "ogbl-collab") -> Path:
    """Write a stand-in to `root`/ogb/<dataset with _>, at once or not at all.

    Raises:
        RunnerError: if that folder is there (it may be the real dataset), or on a scale that is
            too small to hold 100 negatives, or above 1.
    """
    if not SMALLEST_SCALE <= scale <= 1:
        raise RunnerError(f"--scale={scale:g}: give a number from {SMALLEST_SCALE:g} to 1")
    folder = root.expanduser() / "ogb" / dataset.replace("-", "_")
    if folder.exists():
        raise RunnerError(f"{folder} exists already and may be real; remove it or choose --root")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        WRITERS[dataset](temporary / folder.name, scale=scale, seed=seed)
        (temporary / folder.name).rename(folder)
    finally:
        shutil.rmtree(temporary)
    return folder


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Write a generated stand-in of a dataset in OGB's layout, full size."
    )
    parser.add_argument(
        "--root", type=Path, required=True, help="data folder; writes ROOT/ogb/<dataset>"
    )
    parser.add_argument("--dataset", choices=sorted(WRITERS), default="ogbl-collab")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the real size (default 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn (default 0)")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        folder = write_standin(
            options.root, scale=options.scale, seed=options.seed, dataset=options.dataset
        )
    except (OSError, RunnerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{folder}: written in {time.monotonic() - start:.0f} s, {peak:.1f} GiB at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
