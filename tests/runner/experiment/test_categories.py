"""An own graph whose node table has categories, from the file to a trained encoder of them."""

from __future__ import annotations

import pytest
import torch

pytestmark = pytest.mark.command

NODES = 40
HOUSES = ["stark", "lannister", "tully"]
LINKS = [(u, v) for u in range(NODES) for v in range(u) if (u * 7 + v * 5) % 11 < 3]


@pytest.fixture
def run(tmp_path, runner):
    (tmp_path / "graph.csv").write_text("\n".join(f"n{u},n{v}" for u, v in LINKS))
    rows = [
        f"n{n},{HOUSES[n % 3]},{'' if n == 5 else ['north', 'south'][n % 2]},{n * 1.5}"
        for n in range(NODES)
    ]
    (tmp_path / "nodes.csv").write_text("\n".join(["id,house,region,age", *rows]))
    (tmp_path / "words.csv").write_text(
        "\n".join(row.rpartition(",")[0] for row in ["id,house,region,age", *rows])
    )

    def run(table, *more):
        return runner(
            "model=ncn", "encoder=catgcn", "encoder.hidden=8", "dataset=edges", "train.epochs=1",
            f"dataset.path={tmp_path / 'graph.csv'}", f"dataset.nodes={tmp_path / table}",
            "tracker=none", f"hydra.run.dir={tmp_path / 'run'}", *more,
        )  # fmt: skip

    return run


def rows(tmp_path):
    content = torch.load(tmp_path / "run" / "checkpoints" / "best.pt", weights_only=True)
    return content["model"]["encoder.embedding"]


def test_columns_of_words_are_categories(run, tmp_path):
    code, out, err = run("words.csv")
    assert code == 0, err
    assert "categories, one-hot: house (3), region (2)" in out
    assert rows(tmp_path).shape == (5, 64)
    assert "company passed, knowledge passed" in out


@pytest.mark.parametrize("more", [(), ("run.dry=true",)])
def test_a_column_of_numbers_is_refused_before_anything_trains(run, tmp_path, more):
    code, _, err = run("nodes.csv", *more)
    assert code == 1
    assert "reads sets of categories; of an own table, dataset.bins=" in err
    assert not list(tmp_path.glob("run/checkpoints/*"))


def test_or_put_into_bins(run, tmp_path):
    code, out, err = run("nodes.csv", "dataset.bins=4")
    assert code == 0, err
    assert "categories, up to 4 by value: age" in out
    assert rows(tmp_path).shape == (9, 64)
