"""Saved configs of before under today's names, and today's under the first; nobody else's names."""

from __future__ import annotations

import copy
from pathlib import Path

import yaml

from runner.comparison.settings import parse
from runner.config import aliases
from runner.config.identity import canonical, experiment_id
from runner.storage.seal import read_lines

OLD = Path(__file__).parents[2] / "data" / "bdcf161" / "local" / "config.yaml"


def old():
    return yaml.safe_load(read_lines(OLD.read_text()))


def test_a_config_of_before_comes_back_the_same_in_its_canonical_form():
    now = aliases.modernise(old())
    assert now["model"]["_target_"] == "runner.models.ncnc.NCNC"
    assert now["negatives"] == {
        "_target_": "runner.training.negatives.UniformNonEdges", "per_positive": 1, "redraw": True
    }  # fmt: skip
    assert now["protocol"]["split"] == now["dataset"]["source"]["split"]
    assert now["model"]["completion"]["draw_eval"] == "generator"
    assert set(now["dataset"]) == {"name", "source"}
    first = canonical(now)
    assert first["model"]["_target_"] == "models.ncnc.NCNC"
    before = old()["dataset"]
    kept = {key: value for key, value in before.items() if key not in ("published", "source")}
    assert {key: first["dataset"][key] for key in kept} == kept
    assert list(first["dataset"]) == [key for key in before if key != "published"]
    assert not {"protocol", "negatives", "objective"} & set(first)


def test_modernising_twice_is_modernising_once():
    once = aliases.modernise(old())
    assert aliases.modernise(once) == once


def test_a_package_of_the_users_own_keeps_its_names():
    """A project may have a `models` of its own, whose names were ours once."""
    now = aliases.modernise(old())
    own = copy.deepcopy(now)
    own["model"]["_target_"] = "models.ncnc.NCNC"
    assert aliases.modernise(own)["model"]["_target_"] == "models.ncnc.NCNC"
    text = yaml.safe_dump(own, sort_keys=False)
    assert parse(text)["model._target_"] == "models.ncnc.NCNC"
    assert experiment_id(own, warm_start=None) != experiment_id(now, warm_start=None)


def test_settings_of_before_are_compared_as_those_of_today():
    now = yaml.safe_dump(aliases.modernise(old()), sort_keys=False)
    assert parse(OLD.read_text()) == parse(now)


def test_interpolations_name_what_stands_elsewhere_today():
    saved = {"metrics": "${dataset.protocol.metrics}", "s": "${tuned:sampler,runner.batches.Plain}"}
    assert aliases.today(saved) == {
        "metrics": "${protocol.metrics}",
        "s": "${tuned:sampler,runner.training.samplers.Plain}",
    }
