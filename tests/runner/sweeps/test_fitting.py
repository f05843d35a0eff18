from __future__ import annotations

import logging

import pytest
from hydra.errors import ConfigCompositionException

from runner.sweeps.fitting import Fitting

KEYS = {"cn": {"beta"}, "ncn": {"hidden", "beta"}}


def compose(overrides):
    given = dict(line.split("=") for line in overrides)
    for key in given:
        if key.startswith("model.") and key[6:] not in KEYS[given.get("model", "ncn")]:
            cause = KeyError(f"Key '{key}' is not in struct")
            raise ConfigCompositionException(f"Could not override '{key}'.") from cause


def test_a_key_that_one_choice_lacks_is_left_out_with_one_line(caplog):
    jobs = [["model=cn", "model.hidden=4", "seed=0"], ["model=ncn", "model.hidden=4", "seed=0"]]
    fitting = Fitting(compose)
    with caplog.at_level(logging.WARNING):
        assert fitting.of(jobs) == [["model=cn", "seed=0"], jobs[1]]
        assert fitting.of(jobs) == [["model=cn", "seed=0"], jobs[1]]
    assert caplog.messages == ["model.hidden=4 is left out of model=cn: it has no such key"]


def test_a_key_that_no_job_has_stays_for_hydra_to_refuse():
    jobs = [["model=cn", "model.hiden=4"], ["model=ncn", "model.hiden=4"]]
    assert Fitting(compose).of(jobs) == jobs


@pytest.mark.parametrize("jobs", [[], [["model=ncn", "model.hidden=4"]]])
def test_jobs_that_fit_stay(jobs):
    assert Fitting(compose).of(jobs) == jobs
