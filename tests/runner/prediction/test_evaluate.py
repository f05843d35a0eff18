"""A trained run evaluated again, against its summary and against runs that were judged so."""

from __future__ import annotations

import json

import pytest

import runner as public
from runner.cli import evaluate as cli
from runner.errors import RunnerError

PLAIN = ("dataset=lesmis", "tracker=none")
QUICK = (*PLAIN, "train.epochs=3", "encoder.hidden=16")
METRICS = ["mrr", "hits@5"]


@pytest.fixture
def folder(made_once):
    return made_once("model=ncnc", *QUICK)


@pytest.mark.parametrize(
    "command", [("model=ncnc", *QUICK), ("model=gae", *QUICK), ("model=cn", *PLAIN)]
)
def test_the_runs_own_figures_come_again_to_the_bit(made_once, command):
    run = public.load(made_once(*command))
    assert run.evaluate() == run.metrics
    summary = json.loads((run.folder / "summary.json").read_text())
    assert run.evaluate() == {part: summary[part] for part in ("valid", "test")}


def test_other_metrics_are_those_of_a_run_that_has_them(folder, made_once):
    other = made_once("model=ncnc", *QUICK, f"protocol.metrics={METRICS}", "protocol.select=mrr")
    run, wanted = public.load(folder), public.load(other)
    if run.epoch != wanted.epoch:  # another metric may choose another epoch
        pytest.skip("the epochs differ")
    assert run.evaluate(metrics=METRICS) == wanted.metrics
    assert list(run.evaluate(metrics=["mrr"])["test"]) == ["mrr"]


def test_a_protocol_with_other_negatives_or_another_graph(folder, made_once):
    run = public.load(folder)
    more = run.evaluate(keys={"split.test_negatives": 20.0}, metrics=["mrr"])
    own = run.evaluate(metrics=["mrr"])
    assert more["test"]["mrr"] < own["test"]["mrr"]
    validation = {"validation_edges_in_test_graph": True}
    wanted = public.load(
        made_once("model=cn", *PLAIN, "protocol.validation_edges_in_test_graph=true")
    )
    heuristic = public.load(made_once("model=cn", *PLAIN))
    assert heuristic.evaluate(keys=validation) == wanted.metrics != heuristic.metrics
    assert run.metrics == run.evaluate()  # nothing of it stays


def test_other_negatives_of_the_protocol_are_drawn(made_once):
    few, many = (
        ("model=cn", *PLAIN, "protocol=hard", f"protocol.negatives.per_positive={count}")
        for count in (20, 60)
    )
    run, wanted = public.load(made_once(*few)), public.load(made_once(*many))
    found = run.evaluate(keys={"negatives.per_positive": 60}, metrics=["mrr"])
    assert found["test"]["mrr"] == wanted.metrics["test"]["mrr"] != run.metrics["test"]["mrr"]


def test_a_split_that_scores_training_links_is_refused_with_counts(folder):
    run = public.load(folder)
    with pytest.raises(RunnerError) as refusal:
        run.evaluate(keys={"split.seed": 1})
    data = run._trained.data
    other = public.load(folder)
    learned = {frozenset(pair) for pair in data.train.T.tolist()}
    from runner.config.schema import RunConfig
    from runner.experiment.build import load_data

    config = other.config
    config["dataset"]["source"]["split"]["seed"] = 1
    split = load_data(RunConfig.read(config))
    test, valid = (
        sum(frozenset(pair) in learned for pair in part.positive.T.tolist())
        for part in (split.test, split.valid)
    )
    assert test > 0
    assert f"{test} of its 50 test links and {valid} of its 25 validation links" in str(
        refusal.value
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"protocol": "new_nodes"},
            r"protocol=new_nodes: \d+ of its \d+ test links .* train a run",
        ),
        (
            {"protocol": "tine"},
            r"protocol/tine: there is no such option; use buddy, files, .*random, .*time",
        ),
        ({"protocol": "official"}, "this dataset has no split; use protocol=random"),
        ({"keys": {"split.tset": 0.3}}, "protocol.split.tset: this protocol has no such key"),
        ({"keys": {"split.test": 2}}, r"protocol.split.test: 2 does not fit"),
        ({"metrics": ["hits@0"]}, r"protocol.metrics.*hits@0"),
        ({"metrics": ["hits@4000"]}, "hits@4000 needs at least 4000 negatives"),
    ],
)
def test_mistakes(folder, asked, message):
    with pytest.raises(RunnerError, match=message):
        public.load(folder).evaluate(**asked)


def test_the_same_protocol_by_name(folder):
    run = public.load(folder)
    assert run.evaluate(protocol="random") == run.metrics


def test_a_run_without_metrics(made_once):
    run = public.load(made_once("model=gae", *QUICK, "evaluator=none"))
    with pytest.raises(
        RunnerError, match=r"no metrics \(evaluator=none\); start one with train=none"
    ):
        run.evaluate()
    with pytest.raises(RunnerError, match="NoEvaluator, takes none"):
        run.evaluate(metrics=["mrr"])


def test_the_command(folder, capsys):
    assert cli.main([str(folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {part: shown[part] for part in ("valid", "test")} == public.load(folder).metrics
    assert shown["protocol"] == "random"
    assert cli.main([str(folder), "evaluator.metrics=[mrr]", "hardware.threads=1"]) == 0
    assert "mrr" in capsys.readouterr().out
    for line, message in (
        ("model=cn", "an evaluation takes protocol, keys of it"),
        ("hardware.processes=2", "an evaluation takes"),
        ("protocol.split.seed=1", "are training links of this run"),
        ("protocol=random,time", "give one value"),
        ("protocol", "cannot be read"),
        ("hardware.device=cuda", "torch sees no GPU"),
    ):
        assert cli.main([str(folder), line]) == 1, line
        assert message in capsys.readouterr().err
    assert cli.main(["latest"]) == 1
    assert "no run in" in capsys.readouterr().err
