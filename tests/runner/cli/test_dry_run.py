"""`run.dry=true` refuses what the run would refuse, in the same words, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import run_folders

PAIRS = [(u, v) for u in range(24) for v in range(u) if (u * 7 + v * 5) % 6 < 2]
OWN = ("dataset=edges", "dataset.path=own.csv", "tracker=none", "model=ncn")
NEW_NODES = (*OWN, "protocol=new_nodes", "protocol.split.valid=0.1")
TWO_KINDS = (*OWN[:-1], "dataset.bipartite=true")
FILES = (*OWN, "dataset.valid=valid.csv", "dataset.test=test.csv", "protocol=files")


@pytest.fixture
def own(tmp_path) -> Path:
    """A graph, and a split whose validation has two links of its training."""
    for name, pairs in (("own", PAIRS), ("valid", PAIRS[:2]), ("test", [(0, 23), (1, 22)])):
        (tmp_path / f"{name}.csv").write_text("\n".join(f"{u},{v}" for u, v in pairs))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (FILES, "2 rows are valid links in train"),
        (NEW_NODES, "their embeddings would never be learned"),
        ((*TWO_KINDS, "model=cn"), "in a bipartite graph no source and target have a common"),
        ((*OWN, "protocol.split.valid=0.5", "protocol.split.test=0.5"), "leave no training edges"),
        (("protocol.split.valid=0.5", "protocol.split.test=0.5"), "leave no training edges"),
        ((*OWN, "protocol.metrics=[hits@5000]"), "hits@5000 needs at least 5000 negatives"),
        ((*OWN[:-1], "model=none"), "score pairs, which takes a predictor"),
    ],
)
def test_it_refuses_what_the_run_refuses(runner, own, arguments, words):
    code, out, err = runner(*arguments, "run.dry=true")
    assert code == 1 and words in err and len(err.splitlines()) == 1 and "run graph" not in out
    code, _, same = runner(*arguments, "train.epochs=1")
    assert code == 1 and same == err


@pytest.mark.parametrize(
    "arguments",
    [OWN, (*NEW_NODES, "model=ra"), (*TWO_KINDS, "model=katz"),
     (*FILES, "protocol.permitted_overlaps=[valid_in_train]")],
)  # fmt: skip
def test_it_takes_what_the_run_takes(runner, own, arguments):
    code, out, err = runner(*arguments, "run.dry=true")
    assert code == 0 and "parameters: " in out, err
    assert run_folders(own) == [] and not list((own / "cache").glob("audits/*"))
