"""Runs that learn in phases: their folder, and what is refused of them."""

from __future__ import annotations

import pytest
import torch
from tests.runner.experiment.test_resume import kill_after, weights

QUICK = (
    "model=forward_gnn",
    "dataset=lesmis",
    "tracker=none",
    "encoder.hidden=8",
    "train.epochs=2",
)


@pytest.fixture
def source(copied):
    return copied("source", *QUICK)


def test_a_run_that_is_stopped_in_a_phase_has_the_layers_so_far(
    runner, tmp_path, monkeypatch, source
):
    with monkeypatch.context() as patch:
        kill_after(patch, 25)  # in the first epoch of the second layer, of 11 steps
        assert runner(*QUICK, "hydra.run.dir=cut")[0] == 1
    cut = tmp_path / "cut"
    assert weights(cut, "best.pt")["encoder.in_use"] == 1  # what `runner-predict` scores by
    assert runner("resume=cut")[0] == 0
    one, other = weights(source, "best.pt"), weights(cut, "best.pt")
    assert one["encoder.in_use"] == 2 and all(torch.equal(one[name], other[name]) for name in one)


def test_what_a_run_of_one_length_would_not_give_is_refused(runner, source):
    def content():
        return {p: p.read_bytes() for p in source.rglob("*") if p.suffix in (".json", ".pt")}

    before = content()
    for command, message in (
        ((f"resume={source}", "train.epochs=3"), "train.epochs=3: 1 phases of this run have ended"),
        ((f"refit={source}",), "learned in phases, each with a best epoch of its own"),
        (
            (
                *QUICK, "+train.schedule.gamma=0.9",
                "+train.schedule._target_=torch.optim.lr_scheduler.ExponentialLR",
            ),
            "train.schedule: this objective learns in phases",
        ),
        (("model=ncn", *QUICK[1:], "objective=layerwise"), "encoder=layer_local"),
    ):  # fmt: skip
        code, _, err = runner(*command)
        assert code == 1 and message in err, err
    assert content() == before


def test_the_layers_may_be_tuned_together(runner, tmp_path, source):
    code, _, err = runner(
        *QUICK, "objective=link_prediction", f"train.init_from={source}", "train.lr_encoder=0",
        "hydra.run.dir=tuned",
    )  # fmt: skip
    assert code == 0, err
    one, other = weights(source, "best.pt"), weights(tmp_path / "tuned")
    assert all(torch.equal(one[name], other[name]) for name in one)
