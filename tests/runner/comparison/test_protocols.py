"""Runs that are judged differently stand in different columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import pytest
from tests.test_configs import resolved

from runner.comparison.protocols import distinguish_protocols
from runner.comparison.run import Run
from runner.comparison.settings import flat
from runner.keys import Before


def judged(*overrides: str) -> Run:
    config = resolved("model=ra", *overrides)
    of = config["run"]
    return Run("a", None, "done", dataset=of["dataset"], protocol=of["protocol"],
               settings=flat(config))  # fmt: skip


class Own:
    """A split of a user's, with a key that came later."""

    def __init__(self, *, strict: Annotated[bool, Before(False)] = False) -> None: ...


def datasets(*runs: Run) -> list[str]:
    return [run.dataset for run in distinguish_protocols(runs)]


HARD = ("dataset=lesmis", "protocol=hard")


def test_one_name_for_two_ways_of_judging_is_two_columns():
    few, many = (judged(*HARD, f"protocol.negatives.per_positive={n}") for n in (20, 80))
    assert datasets(few, many, few) == [
        "lesmis, hard (per_positive 20)",
        "lesmis, hard (per_positive 80)",
        "lesmis, hard (per_positive 20)",
    ]


@pytest.mark.parametrize(
    "override",
    ["seed=7", "seeds.split=3", "model=aa", "protocol.metrics=[mrr]", "protocol.select=hits@10",
     "protocol.negatives.seed=5", "train.epochs=3", "protocol.split.test_negatives=1"],
)  # fmt: skip
def test_what_judges_nobody_differently_stays_in_one_column(override):
    assert datasets(judged(*HARD), judged(*HARD, override)) == ["lesmis", "lesmis"]


def test_the_other_keys_that_judge():
    heart = ("dataset=cora", "protocol=heart")
    shared = judged(*heart, "protocol.split.own_negatives=false")
    assert datasets(judged(*heart), shared) == [
        "cora, heart (own_negatives true)", "cora, heart (own_negatives false)",
    ]  # fmt: skip
    seen = judged(*HARD, "protocol.validation_edges_in_test_graph=true")
    assert datasets(judged(*HARD), seen) == [
        "lesmis, hard (validation_edges_in_test_graph false)",
        "lesmis, hard (validation_edges_in_test_graph true)",
    ]


def test_the_arguments_of_two_components_do_not_compare():
    random = judged("dataset=lesmis", "protocol=random")
    given = judged(
        "dataset=lesmis", "protocol=random",
        "protocol.split._target_=runner.data.given_split.GivenSplit",
        "~protocol.split.valid", "~protocol.split.test",
    )  # fmt: skip
    assert datasets(random, given) == [
        "lesmis, random (split RandomSplit)", "lesmis, random (split GivenSplit)",
    ]  # fmt: skip


def test_names_of_protocols_and_runs_without_a_config_part_nothing_else():
    broken = Run("b", None, "done", dataset="lesmis", protocol="hard")
    pending = Run("c", None, "pending", dataset="lesmis")
    assert datasets(judged(*HARD), broken, pending) == ["lesmis"] * 3
    random = judged("dataset=lesmis", "protocol=random")
    assert datasets(judged(*HARD), random, pending) == [
        "lesmis, hard", "lesmis, random", "lesmis",
    ]  # fmt: skip


def test_a_key_that_is_younger_than_a_run_counts_as_what_the_run_did():
    target = {"protocol.split._target_": f"{__name__}.Own"}
    before, as_before, strict = (
        replace(judged(*HARD), settings={**target, **more})
        for more in ({}, {"protocol.split.strict": False}, {"protocol.split.strict": True})
    )
    assert datasets(before, as_before) == ["lesmis"] * 2
    assert datasets(before, strict) == ["lesmis, hard (strict false)", "lesmis, hard (strict true)"]


def test_a_key_is_named_by_as_much_as_tells_it_from_the_others():
    own = {"protocol.split._target_": f"{__name__}.Own", "protocol.negatives._target_": "x.Own"}
    both = [
        replace(
            judged(*HARD),
            settings={**own, "protocol.split.strict": on, "protocol.negatives.strict": on},
        )
        for on in (False, True)
    ]
    assert datasets(*both) == [
        "lesmis, hard (negatives.strict false, split.strict false)",
        "lesmis, hard (negatives.strict true, split.strict true)",
    ]
