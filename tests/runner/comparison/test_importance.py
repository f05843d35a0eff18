"""Searches: what varies, and how much it matters."""

from __future__ import annotations

import random

import pytest
from tests.runner.comparison.conftest import write_run

from runner.comparison.collect import collect
from runner.comparison.importance import importance, importances, searches


def write_search(root, runs, *, seeds=1, score=None, **fixed):
    chance = random.Random(0)
    for number in range(runs):
        rate, dropout = 10 ** chance.uniform(-4, -1), chance.choice([0.1, 0.2, 0.5])
        layers = chance.choice(["one", "two"])
        settings = {"train.lr_encoder": rate, "model.dropout": dropout, "model.kind": layers}
        value = score(rate, dropout, layers) if score else 0.5
        write_run(
            root, "ncn", number % seeds, 0.1, name=f"-{number}", experiment=f"e{number}",
            settings={**settings, **fixed}, valid=value,
        )  # fmt: skip


def test_what_decides_the_validation_metric_is_the_most_important(tmp_path):
    write_search(tmp_path, 40, seeds=3, score=lambda rate, dropout, kind: 0.2 + dropout)
    (search,) = searches(collect([tmp_path]))
    assert set(search.names) == {"lr_encoder", "dropout", "kind", "seed"}
    assert (search.dataset, search.model, search.metric) == ("cora", "ncn", "hits@100")
    assert len(search.runs) == 40 and search.settings == 40 and set(search.tests) == {10.0}
    shares = importance(search)
    assert max(shares, key=shares.__getitem__) == "dropout" and shares["dropout"] > 0.9
    assert sum(shares.values()) == pytest.approx(1) and set(shares) == set(search.names)
    assert importance(search) == shares


def test_a_choice_can_be_the_most_important(tmp_path):
    write_search(tmp_path, 30, score=lambda rate, dropout, kind: 0.9 if kind == "two" else 0.1)
    shares = importance(searches(collect([tmp_path]))[0])
    assert max(shares, key=shares.__getitem__) == "kind"


@pytest.mark.parametrize("platform", ["linux", "another"])
def test_other_processes_find_the_same_in_the_same_order(tmp_path, monkeypatch, platform):
    monkeypatch.setattr("sys.platform", platform)
    write_search(tmp_path / "a", 9, score=lambda rate, dropout, kind: dropout)
    write_search(tmp_path / "b", 12, score=lambda rate, dropout, kind: dropout)
    found = [searches(collect([tmp_path / name]))[0] for name in ("a", "b")]
    with importances(found) as shares:
        assert list(shares) == [{}, importance(found[1])] and importance(found[1])
    with importances(found[:1]) as shares:
        assert list(shares) == [{}]


@pytest.mark.parametrize(("runs", "score"), [(9, lambda rate, dropout, kind: dropout), (20, None)])
def test_few_runs_or_no_variance_give_no_importance(tmp_path, runs, score):
    write_search(tmp_path, runs, score=score)
    (search,) = searches(collect([tmp_path]))
    assert importance(search) == {}


def test_a_key_that_some_runs_lack_takes_no_part(tmp_path):
    write_search(tmp_path, 30, score=lambda rate, dropout, kind: dropout)
    write_run(tmp_path, "ncn", 0, 0.1, name="-x", settings={"model.extra": 1}, valid=0.5)
    (search,) = searches(collect([tmp_path]))
    assert "extra" in search.names and "extra" not in importance(search)


def test_seeds_alone_are_no_search(tmp_path):
    for seed in range(12):
        write_run(tmp_path, "ncn", seed, seed / 20)
    assert searches(collect([tmp_path])) == []
