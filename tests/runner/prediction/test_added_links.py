"""Links and nodes that came after training, against the model called by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import runner as public
from runner.cli import main as cli
from runner.cli.predict import main
from runner.errors import RunnerError
from runner.ops.csr import Graph
from runner.prediction.added_links import read_links

LESMIS = ("dataset=lesmis", "model=ncnc", "tracker=none", "train.epochs=2", "encoder.hidden=16")


@pytest.fixture
def run(made_once):
    return public.load(made_once(*LESMIS))


def own_graph():
    generator = np.random.default_rng(0)
    pairs = {
        tuple(sorted(pair)) for pair in generator.integers(30, size=(120, 2)) if pair[0] != pair[1]
    }
    Path("g.csv").write_text("source,target\n" + "".join(f"n{a},n{b}\n" for a, b in sorted(pairs)))
    frame = pandas.DataFrame(generator.normal(size=(30, 4)), index=[f"n{n}" for n in range(30)])
    frame.index.name = "node"
    frame.to_csv("features.csv")


@pytest.fixture
def own(made_once, tmp_path, monkeypatch):
    own_graph()
    monkeypatch.setattr(
        "sys.argv",
        ["runner", "dataset=edges", f"dataset.path={tmp_path / 'g.csv'}",
         f"dataset.features={tmp_path / 'features.csv'}", "model=ncn", "tracker=none",
         "train.epochs=2", "encoder.hidden=8", f"hydra.run.dir={tmp_path / 'own'}"],
    )  # fmt: skip
    with pytest.raises(SystemExit):
        cli.main()
    return public.load(tmp_path / "own")


def test_scores_see_the_links(run):
    links = [("Cosette", "Napoleon"), ("Javert", "Napoleon"), ("Napoleon", "Cosette")]
    larger = run.with_links(links)
    trained = run._trained
    numbers = [run.nodes.require([a, b]) for a, b in links]
    graph = trained.graphs[2]
    edges = torch.cat([torch.stack([graph.row, graph.col.long()]), torch.stack(numbers, 1)], dim=1)
    whole = Graph.from_edges(edges, 77)
    pair = run.nodes.require(["Cosette", "Javert"]).view(2, 1)
    with torch.no_grad():
        wanted = trained.model(trained.features, whole, pair)
    assert larger.score([("Cosette", "Javert")]) == pytest.approx(wanted.numpy(), abs=1e-6)
    assert larger.score([("Cosette", "Javert")]) != run.score([("Cosette", "Javert")])
    assert larger.top("Napoleon", 77, include_known=True)["known"].sum() == 3  # one before
    assert run.top("Napoleon", 77, include_known=True)["known"].sum() == 1


def test_new_nodes_with_features(own):
    features = pandas.DataFrame([[0.5, -1.0, 2.0, 0.0]], index=["late"])
    larger = own.with_links([("late", "n1"), ("n2", "late")], features)
    assert len(larger.nodes) == len(own.nodes) + 1
    assert larger.embeddings().shape == (len(own.nodes) + 1, 8)
    assert np.isfinite(larger.score([("late", "n3"), ("n3", "n1")])).all()
    assert "late" not in own.nodes
    with pytest.raises(RunnerError, match="features: late has none"):
        own.with_links([("late", "n1")])
    with pytest.raises(RunnerError, match="late has 3 values, the encoder takes 4"):
        own.with_links([("late", "n1")], features.iloc[:, :3])
    with pytest.raises(RunnerError, match="those of late are no numbers"):
        own.with_links([("late", "n1")], {"late": ["a", "b", "c", "d"]})


def test_what_a_model_cannot_use_is_refused(run):
    with pytest.raises(
        RunnerError, match="Nobody is no node of this run, and its model has learned"
    ):
        run.with_links([("Nobody", "Cosette")])
    with pytest.raises(RunnerError, match="Cosette is linked with itself"):
        run.with_links([("Cosette", "Cosette")])
    with pytest.raises(RunnerError, match="row 2 has an empty end"):
        run.with_links([("Cosette", "Javert"), ("Cosette", None)])


def test_a_heuristic_takes_new_nodes(made_once):
    run = public.load(made_once("dataset=lesmis", "model=cn", "tracker=none"))
    larger = run.with_links([("Late", "Valjean"), ("Late", "Javert")])
    wanted = len({"Valjean", "Javert"} & neighbours(run, "Cosette"))
    assert larger.score([("Late", "Cosette")]).tolist() == [wanted]


def neighbours(run, name):
    graph, node = run._trained.graphs[2], int(run.nodes.require([name])[0])
    return {run.nodes[int(n)] for n in graph.col[graph.rowptr[node] : graph.rowptr[node + 1]]}


def test_the_command_reads_links_from_a_file(made_once, tmp_path, capsys):
    folder = str(made_once("dataset=lesmis", "model=cn", "tracker=none"))
    (tmp_path / "more.csv").write_text("source,target\nLate,Valjean\nLate,Javert\n")
    assert main([folder, "--node", "Late", "--top", "2", "--add-links", "more.csv"]) == 0
    assert "Late" in capsys.readouterr().out
    assert main([folder, "--node", "Late", "--add-links", "none.csv"]) == 1
    assert "none.csv: there is no such file" in capsys.readouterr().err


def test_what_a_file_of_links_is_taken_for_is_told(tmp_path, caplog):
    file = tmp_path / "links.csv"
    file.write_text("0,1\n5,9\n")
    assert read_links(file).tolist() == [[5, 9]]
    assert any("0,1" in record.getMessage() for record in caplog.records)


def test_new_nodes_whose_numbers_came_as_fractions(own):
    links = pandas.DataFrame({"source": [1000.0, 1000.0], "target": [1001.0, 1002.0]})
    features = pandas.DataFrame(np.ones((3, 4)), index=[1000.0, 1001.0, 1002.0])
    assert list(own.with_links(links, features).nodes)[-3:] == ["1000", "1001", "1002"]


def test_added_links_are_not_lost_in_an_export(run, tmp_path):
    with pytest.raises(RunnerError, match="none that were added"):
        run.with_links([("Valjean", "Napoleon")]).export(tmp_path / "shared")
    assert not (tmp_path / "shared").exists()


def test_names_of_features_stay_as_they_are_written(own, tmp_path, capsys):
    (tmp_path / "more.csv").write_text("source,target\n007,n1\n7,n3\n")
    rows = "node,a,b,c,d\n007,1,2,3,4\n7,0,0,0,0\n"
    (tmp_path / "late.csv").write_text(rows)
    given = ["--add-links", "more.csv", "--add-features", "late.csv"]
    assert main([str(own.folder), "--node", "007", "7", "--top", "1", *given]) == 0
    assert "007" in capsys.readouterr().out
    (tmp_path / "late.csv").write_text(rows + "007,0,0,0,0\n")
    assert main([str(own.folder), "--node", "007", *given]) == 1
    assert "007 has several rows" in capsys.readouterr().err


def test_links_of_two_kinds_whose_names_overlap(tmp_path):
    file = tmp_path / "more.csv"
    file.write_text("user,item\n1,2\n2,1\n3,2\n")
    assert read_links(file, bipartite=True).tolist() == [[1, 2], [2, 1], [3, 2]]
    matrix = tmp_path / "more.mtx"
    matrix.write_text("%%MatrixMarket matrix coordinate pattern general\n2 3 2\n1 1\n2 3\n")
    with pytest.raises(RunnerError, match="give a table of links"):
        read_links(matrix, bipartite=True)
