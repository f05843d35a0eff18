"""Embeddings of several runs beside each other: rotated, scaled, and of other nodes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from plotly.graph_objects import Figure
from tests.runner.comparison.conftest import write_run

from runner.comparison import representations as module
from runner.comparison.collect import collect
from runner.comparison.figures import agreement_figure
from runner.comparison.groups import group
from runner.comparison.representations import relative, representations
from runner.storage import kept_embeddings
from runner.storage.kept_embeddings import Facts

NODES = 60
H = np.random.default_rng(0).normal(size=(NODES, 5)).astype(np.float32)
H[7] = 0  # a node without an embedding


def rotated(rows, seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(rows.shape[1],) * 2))
    return (3.5 * rows @ q).astype(np.float32)


def noise(seed):
    return np.random.default_rng(seed).normal(size=(NODES, 8)).astype(np.float32)


def write(root, model, seed, rows, *, epoch=4, graph="g", names="", **options):
    folder = write_run(root, model, seed, 0.5, epochs=4, **options)
    kept_embeddings.write(folder, Facts("run", epoch, graph, names), rows)
    return folder


@pytest.fixture
def runs(tmp_path):
    """Two seeds of ncn that are one but for their axes, and one of ncn2 that has nothing of it."""
    write(tmp_path, "ncn", 0, H)
    write(tmp_path, "ncn", 1, rotated(H, 1))
    write(tmp_path, "ncn2", 0, noise(2))
    return tmp_path


def read(root, anchors=20):
    return representations(group(collect([root])), anchors=anchors)


def test_by_hand():
    rows = np.array([[3.0, 4.0], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.0]])
    expected = [[1, 0.8], [0.8, 1], [-0.6, 0], [0, 0]]
    np.testing.assert_allclose(relative(rows, np.array([0, 1])), expected)


def test_rotated_and_scaled_they_are_the_same():
    anchors = np.array([3, 1, 20])
    np.testing.assert_allclose(relative(rotated(H, 1), anchors), relative(H, anchors), atol=1e-6)


def test_runs_of_a_dataset_each_with_each(runs, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 7)
    (found,) = read(runs)
    assert (found.nodes, found.anchors) == (NODES, 20)
    assert found.runs == ["ncn, seed 0", "ncn, seed 1", "ncn2, seed 0"]
    share = (NODES - 1) / NODES  # the node without an embedding agrees in nothing
    for matrix in (found.cosine, found.neighbours):
        assert matrix[0, 1] == pytest.approx(share) and matrix[0, 0] == pytest.approx(share)
        assert matrix[2, 2] == pytest.approx(1) and (matrix == matrix.T).all()
        assert matrix[0, 2] < 0.4
    assert abs(found.chance[0, 1]) < 0.4
    rows = found.rows.to_dict("records")
    assert [(row["model"], row["other"], row["pairs"]) for row in rows] == [
        ("ncn", "ncn", 1),
        ("ncn", "ncn2", 2),
    ]
    assert rows[1]["neighbours"] == pytest.approx(found.neighbours[:2, 2].mean())


def test_nearest_neighbours_by_brute_force(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 7)
    monkeypatch.setattr(module, "_NEAREST", 3)
    rows = noise(3)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = [
        set(sorted(set(range(NODES)) - {i}, key=lambda j, i=i: -unit[i] @ unit[j])[:3])
        for i in range(NODES)
    ]
    assert [set(found) for found in module._nearest(rows).tolist()] == expected


def test_anchors_and_nodes_are_the_same_for_all_runs_of_a_graph(runs, monkeypatch):
    monkeypatch.setattr(module, "_MOST_NODES", 30)
    (found,) = read(runs)
    assert (found.nodes, found.anchors) == (30, 20)
    assert found.cosine[0, 1] > 0.95
    (again,) = read(runs)
    assert (again.cosine == found.cosine).all()
    (every,) = read(runs, anchors=1000)
    assert (every.nodes, every.anchors) == (NODES, NODES)


def test_the_command_prints_it_and_the_page_shows_it(runs, compare):
    code, out, err = compare(runs, "--representations", "--html", runs / "page.html")
    assert code == 0, err
    assert "representations of cora: 3 runs, 60 nodes by 60 anchors" in out
    assert "by chance" in out and "0.983" in out
    text = (runs / "page.html").read_text()
    assert '<section id="representations">' in text and "shared nearest neighbours" in text
    Figure(agreement_figure(["a <b>", "a <b>"], np.eye(2)))
    assert compare(runs, "--html", runs / "page.html")[0] == 0
    assert 'id="representations"' not in (runs / "page.html").read_text()


@pytest.mark.parametrize("other", [{"graph": "h"}, {"names": "n"}, {"rows": noise(1)[:-1]}])
def test_runs_on_other_nodes_are_refused_by_name(tmp_path, compare, other):
    write(tmp_path, "ncn", 0, noise(0))
    write(tmp_path, "ncn", 1, **{"rows": noise(1), **other})
    code, _, err = compare(tmp_path, "--representations")
    assert code == 2 and "cora/ncn/0 and " in err and "embed the nodes of different graphs" in err


def test_runs_without_embeddings_of_their_best_epoch_count_as_none(tmp_path, compare):
    write_run(tmp_path, "ncn", 0, 0.5)
    write(tmp_path, "ncn", 1, noise(0), epoch=3)
    code, _, err = compare(tmp_path, "--representations")
    assert code == 2 and "none has them; start runs with run.keep_embeddings=true" in err
    write(tmp_path, "ncn", 2, noise(0))
    write(tmp_path, "ncn", 0, noise(0), dataset="citeseer")
    code, _, err = compare(tmp_path, "--representations")
    assert code == 2 and "ncn/2 (cora)" in err and "citeseer/ncn/0 (citeseer)" in err


def test_a_damaged_file_is_named(runs, compare):
    path = runs / "cora" / "ncn" / "0" / kept_embeddings.FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, _, err = compare(runs, "--representations")
    assert code == 2 and str(path) in err and "Traceback" not in err


def test_what_it_does_not_read_is_refused(runs, compare):
    code, _, err = compare(runs, "--anchors", "5")
    assert code == 2 and "--anchors are those of --representations" in err


def test_without_torch(runs):
    script = (
        "import sys; from runner.comparison.cli import main; "
        f"code = main([{str(runs)!r}, '--representations']); "
        "sys.exit(code or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0
