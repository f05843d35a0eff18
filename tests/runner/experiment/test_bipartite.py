import logging
from dataclasses import replace

import pytest

from runner.data.bundled import les_miserables
from runner.data.splits import RandomSplit
from runner.errors import RunnerError
from runner.experiment.bipartite import check_model
from runner.models.heuristics import CommonNeighbours, Katz
from runner.models.predictor import Predictor


class WithTerm(Predictor):
    common_neighbours = "term"


@pytest.fixture(scope="module")
def two_kinds():
    split = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=1.0, test_negatives=1.0)
    return replace(les_miserables(split=split), num_sources=30)


def test_a_model_of_common_neighbours_alone_is_refused(two_kinds):
    with pytest.raises(RunnerError, match=r"model=cn: .* score would be 0; choose of .*\bkatz\b"):
        check_model("cn", CommonNeighbours(), two_kinds)


def test_a_model_with_a_term_of_them_is_warned_of(two_kinds, caplog):
    with caplog.at_level(logging.WARNING):
        check_model("mine", WithTerm(), two_kinds)
    named = caplog.messages[0].rpartition("without one are ")[2].split(", ")
    assert {"katz", "gae"} <= set(named) and not {"cn", "ncn", "none"} & set(named)


def test_others_are_let_through_without_a_word(two_kinds, caplog):
    with caplog.at_level(logging.WARNING):
        check_model("katz", Katz(), two_kinds)
        check_model("cn", CommonNeighbours(), replace(two_kinds, num_sources=None))
    assert not caplog.messages
