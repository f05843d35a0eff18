"""nodes.csv of a small graph by hand, and of runs: whole, resumed, and made later."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import pytest
import torch

import runner as public
from runner.audits.node_report import write_node_report
from runner.data.link_data import EvaluationSplit, link_data
from runner.ops.csr import Graph
from runner.storage.seal import read_json
from runner.training.evaluator import RankingEvaluator
from runner.training.named_metrics import parse_metric
from runner.training.node_ranking import Places

SETTING = (
    "dataset=lesmis", "tracker=none", "model=ncn", "encoder.hidden=16", "train.epochs=2",
    "protocol.metrics=[mrr,ndcg@5]", "run.node_report=true",
)  # fmt: skip


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "nodes.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_small_graph_by_hand(tmp_path):
    """The paw with validation link 1-3 and test link 0-3, of which only node 3 is ranked."""
    train = torch.tensor([[0, 1, 0, 2], [1, 2, 2, 3]])
    valid, test = torch.tensor([[1], [3]]), torch.tensor([[0], [3]])
    data = link_data(
        num_nodes=5,
        features=None,
        train=train,
        valid=EvaluationSplit(valid, valid),
        test=EvaluationSplit(test, test),
        names=("a", 'b"', "c,d", "e", "f"),
    )
    places = Places(*map(torch.tensor, ([3], [0], [1], [1])))
    write_node_report(
        tmp_path, data, Graph.from_edges(train, 5), places, [parse_metric("node_mrr")]
    )
    found = rows(tmp_path)
    assert [row["node"] for row in found] == ["0", "1", "2", "3", "4"]
    assert [row["name"] for row in found] == ["a", 'b"', "c,d", "e", "f"]
    assert [row["degree"] for row in found] == ["2", "2", "3", "1", "0"]
    assert [row["tc_train"] for row in found] == ["1", "1", "0.333333", "0", ""]
    assert [row["tc_valid"] for row in found] == ["", "0.5", "", "1", ""]
    assert [row["tc_test"] for row in found] == ["0.5", "", "", "1", ""]
    assert [row["atc_train"] for row in found][2:] == ["0.813053", "0.707107", ""]
    assert [row["test/node_mrr"] for row in found] == ["", "", "", "0.5", ""]
    assert [path.name for path in tmp_path.iterdir()] == ["nodes.csv"]


def test_the_mean_over_nodes_is_the_metric_of_the_run(made_once):
    folder = made_once(*SETTING)
    values = [float(row["test/ndcg@5"]) for row in rows(folder) if row["test/ndcg@5"]]
    summary = read_json((folder / "summary.json").read_text())
    assert len(values) == summary["ranked"]["test"]["nodes"]
    assert sum(values) / len(values) == pytest.approx(summary["test"]["ndcg@5"], abs=1e-6)


def test_the_report_is_no_part_of_what_a_run_is(made_once):
    without = made_once(*(key for key in SETTING if "node_report" not in key))
    assert list(rows(without)[0]) == ["node", "name"]
    first, second = (
        read_json((folder / "meta.json").read_text())["experiment"]
        for folder in (without, made_once(*SETTING))
    )
    assert first == second


def test_a_finished_run_gets_it_later(made_once, copied):
    later = copied("later", *(key for key in SETTING if "node_report" not in key))
    public.load(later).report_nodes()
    assert (later / "nodes.csv").read_bytes() == (made_once(*SETTING) / "nodes.csv").read_bytes()


def test_stopped_within_it_a_resume_writes_it(runner, tmp_path, monkeypatch, made_once):
    original = RankingEvaluator.rank_nodes

    def rank(*arguments):
        signal.raise_signal(signal.SIGUSR1)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RankingEvaluator, "rank_nodes", rank)
        code, out, _ = runner(*SETTING, "hydra.run.dir=cut")
    cut = tmp_path / "cut"
    assert code == 130 and f"runner resume={cut}" in out
    assert list(rows(cut)[0]) == ["node", "name"]
    code, _, err = runner(f"resume={cut}")
    assert code == 0, err
    assert (cut / "nodes.csv").read_bytes() == (made_once(*SETTING) / "nodes.csv").read_bytes()


def test_without_evaluation_there_is_nothing_to_report(runner):
    keys = ("evaluator=none", "model=ncn", "dataset=lesmis", "tracker=none")
    code, _, err = runner(*keys, "run.node_report=true")
    assert code == 1 and "run.node_report=true: with evaluator=none" in err
