"""The `runner-predict` command."""

from __future__ import annotations

import pandas
import pytest

from runner.cli.predict import main

RUN = ("dataset=lesmis", "model=ncn", "tracker=none", "train.epochs=2", "encoder.hidden=16")


@pytest.fixture
def folder(made_once):
    return str(made_once(*RUN))


def test_pairs(folder, tmp_path, capsys):
    (tmp_path / "p.csv").write_text("Valjean,Javert\nValjean,Nobody\n")
    code = main([folder, "--pairs", "p.csv", "--output", "s.csv"])
    found = pandas.read_csv("s.csv")
    assert code == 1
    assert found["score"].notna().tolist() == [True, False]
    assert "without a score: 1 rows" in capsys.readouterr().err


def test_top_of_nodes_on_the_terminal_and_into_a_file(folder, tmp_path, capsys):
    assert main([folder, "--node", "Valjean", "Javert", "--top", "3"]) == 0
    assert capsys.readouterr().out.count("Valjean") == 3
    assert main([folder, "--node", "Valjean", "--output", "top.parquet", "--include-known"]) == 0
    found = pandas.read_parquet("top.parquet")
    assert (len(found), list(found)[:3]) == (20, ["source", "target", "score"])


def test_embeddings(folder, tmp_path):
    assert main([folder, "--embeddings", "e.csv"]) == 0
    found = pandas.read_csv("e.csv")
    assert list(found) == ["node", *map(str, range(16))]
    assert len(found) == 77


def test_links_of_the_whole_graph_above_a_probability(folder, capsys):
    assert main([folder, "--all", "--top", "4", "--output", "all.csv"]) == 0
    assert main([folder, "--all", "--prior", "0.5", "--output", "some.csv"]) == 0
    every = pandas.read_csv("some.csv")
    cut = every["probability"].median()
    arguments = ["--threshold", str(cut), "--prior", "0.5", "--output", "cut.csv"]
    assert main([folder, "--all", *arguments]) == 0
    assert len(pandas.read_csv("all.csv")) == 4
    assert len(pandas.read_csv("cut.csv")) == (every["probability"] >= cut).sum() < len(every)


def test_a_table_without_rows_is_told(folder, capsys):
    assert main([folder, "--all", "--threshold", "1"]) == 0
    assert capsys.readouterr().out == "no rows\n"


def test_an_explanation_as_a_table_and_a_page(folder, tmp_path, capsys):
    assert main([folder, "--explain", "Valjean", "Cosette"]) == 0
    assert "Valjean - Cosette: score" in capsys.readouterr().out
    assert main([folder, "--explain", "Valjean", "Cosette", "--html", "why.html"]) == 0
    assert "Cosette" in (tmp_path / "why.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "what is asked for"),
        (["--pairs", "p.csv"], "where to"),
        (["--node", "Valjean", "--columns", "a", "b"], "--columns: it belongs to --pairs"),
        (["--embeddings", "e.csv", "--top", "3"], "--top: it belongs to --node and --all"),
        (["--node", "Valjean", "--html", "a.html"], "--html: it belongs to --explain"),
        (["--all", "--threshold", "1.5"], "threshold=1.5: it is a probability"),
        (["--all", "--prior", "2"], "prior=2"),
        (["--explain", "Valjean", "Valjean"], "Valjean with itself is no pair"),
        (["--node", "Valjean", "--top", "0"], "--top 0"),
        (["--node", "Valjeann"], "no node has this name; near are Valjean"),
        (["--embeddings", "e.xls"], "which kind of table"),
        (["--pairs", "none.csv", "--output", "s.csv"], "it cannot be read"),
    ],
)
def test_mistakes_are_one_sentence(folder, arguments, message, capsys):
    assert main([folder, *arguments]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_the_environment_is_set_before_anything_imports_torch(monkeypatch):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.cli.predict.prepare_environment", stop)
    assert main(["run", "--all", "--output", "no.kind"]) == 130


@pytest.mark.parametrize("option", [["--graph", "all"], ["--add-links", "f.csv"]])
def test_what_an_export_would_leave_out_is_refused(option, capsys):
    assert main(["run", "--export", "shared", *option]) == 1
    assert f"{option[0]}: it belongs to --pairs and" in capsys.readouterr().err
