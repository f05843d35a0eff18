"""Audits made later are those of the run's end, and runner-compare reads them."""

from __future__ import annotations

import json

import pytest

import runner as public
from runner.cli import evaluate as cli
from runner.comparison.read import read_run
from runner.experiment import audited

QUICK = ("dataset=lesmis", "tracker=none", "train.epochs=2", "encoder.hidden=8")


@pytest.mark.parametrize("model", ["model=ncnc", "model=cn"])
def test_audits_made_later_are_those_of_the_end_of_the_run(copied, capsys, model):
    quick = QUICK if model == "model=ncnc" else QUICK[:2]
    folder = copied("run", model, *quick)
    before = json.loads((folder / "summary.json").read_text())
    assert cli.main([str(folder), "--audit", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["audits"]
    assert found == before["audits"]
    assert json.loads((folder / "summary.json").read_text()) == before
    kept = json.loads((folder / "audits.json").read_text())
    assert kept["best_epoch"] == before["best_epoch"]


def test_a_run_without_audits_gets_them(copied, capsys):
    drawn = ("model.completion.keep_eval=2", "model.completion.draw_eval=generator")
    weight = ("model.completion.o=-1", "run.audits=false")
    folder = copied("run", "model=ncnc", *QUICK, *drawn, *weight)
    assert read_run(folder, "run").result.audits == {}
    audits = public.load(folder).audit()
    assert audits["company"]["passed"] is False
    assert read_run(folder, "run").result.audits == audits


@pytest.mark.parametrize("key", ["evaluator.metrics=[mrr]", "protocol=random"])
@pytest.mark.parametrize("flag", ["--audit", "--nodes"])
def test_audits_and_nodes_are_those_of_the_runs_own_protocol(copied, capsys, flag, key):
    folder = copied("run", "model=cn", *QUICK[:2])
    before = (folder / "nodes.csv").read_bytes()
    assert cli.main([str(folder), flag, key]) == 1
    assert f"{flag}: goes by the run's own protocol; leave" in capsys.readouterr().err
    assert not (folder / "audits.json").exists()
    assert (folder / "nodes.csv").read_bytes() == before


def test_audits_and_nodes_at_once_are_refused(copied, capsys):
    folder = copied("run", "model=cn", *QUICK[:2])
    assert cli.main([str(folder), "--audit", "--nodes"]) == 1
    assert "--audit --nodes: an audit comes alone" in capsys.readouterr().err
    assert not (folder / "audits.json").exists()


def test_an_unfinished_run_is_to_be_resumed_first(copied, capsys):
    folder = copied("run", "model=cn", *QUICK[:2])
    (folder / "summary.json").unlink()
    assert cli.main([str(folder), "--audit"]) == 1
    err = capsys.readouterr().err
    assert "this run is not finished" in err and f"runner resume={folder}" in err


def test_an_audit_that_cannot_be_made_leaves_the_earlier_verdict(copied, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no such luck")

    folder = copied("run", "model=cn", *QUICK[:2])
    assert cli.main([str(folder), "--audit"]) == 0
    monkeypatch.setattr(audited, "audit_company", broken)
    assert public.load(folder).audit()["company"]["passed"] is None
    kept = json.loads((folder / "audits.json").read_text())["audits"]
    assert kept["company"]["passed"] is True and kept["knowledge"]["passed"] is True
