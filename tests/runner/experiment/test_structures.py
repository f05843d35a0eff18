"""A structure is computed once a graph, and never taken for another one's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from tests.test_configs import resolved

from runner.config.schema import RunConfig
from runner.data.link_data import EvaluationSplit
from runner.experiment import structures
from runner.experiment.structures import with_structures
from runner.models.heuristics import CommonNeighbours
from runner.models.predictor import Predictor
from runner.ops import pagerank
from runner.ops.csr import Graph
from runner.ops.kernels import pagerank as kernels
from runner.training.ranks import ALONE
from runner.training.task import Task

CALLS: list[int] = []


class Degrees(Predictor):
    reach = 0

    def structure(self, graph):
        CALLS.append(graph.num_entries)
        return {"degree": graph.degree(), "both": (graph.degree() + 1, [2])}


def graph(*edges):
    return Graph.from_edges(torch.tensor(edges).T, 5)


TRAIN, TEST = graph((0, 1), (1, 2)), graph((0, 1), (1, 2), (3, 4))
NOTHING = EvaluationSplit(torch.zeros(2, 0), torch.zeros(2, 0))


@pytest.fixture
def compute():
    config = RunConfig.read(resolved("dataset=lesmis", "model=gae"))
    CALLS.clear()

    def found(train=TRAIN, valid=None, test=TEST):
        task = Task(torch.zeros(5, 1), train, valid or train, test, NOTHING, NOTHING)
        return with_structures(task, Degrees(), config, ALONE)

    return found


def test_each_graph_has_its_own_and_later_runs_take_them_from_the_cache(compute):
    for _ in range(2):
        task = compute()
        assert task.train_structure["degree"].tolist() == [1, 2, 1, 0, 0]
        assert task.test_structure["degree"].tolist() == [1, 2, 1, 1, 1]
        assert task.test_structure["both"][1] == [2]
        assert CALLS == [4, 6]


def test_the_same_graph_is_computed_once(compute):
    task = compute(test=TRAIN)
    assert task.test_structure is task.train_structure and CALLS == [4]
    assert task.valid_structure is task.train_structure


def test_validation_with_support_has_its_own(compute):
    task = compute(valid=TEST)
    assert task.valid_structure is task.test_structure and CALLS == [4, 6]
    task = compute(valid=graph((0, 4)))
    assert task.valid_structure["degree"].tolist() == [1, 0, 0, 0, 1]
    assert task.valid_inputs.structure is task.valid_structure and CALLS == [4, 6, 2]


def test_another_graph_of_the_same_size_is_not_taken_for_it(compute):
    compute()
    task = compute(train=graph((0, 2), (2, 3)))
    assert task.train_structure["degree"].tolist() == [1, 0, 2, 1, 0]


def test_edited_code_computes_anew(compute, monkeypatch):
    compute()
    monkeypatch.setattr(structures, "_code_of", lambda predictor: ["another"])
    compute()
    assert CALLS == [4, 6, 4, 6]


def test_the_code_of_inner_predictors_counts():
    outer = Predictor()
    alone = structures._code_of(outer)
    outer.inner = CommonNeighbours()
    assert len(structures._code_of(outer)) == len(alone) + 1


@pytest.mark.parametrize("module", [pagerank, kernels])
def test_the_code_of_the_operators_counts(module):
    code = hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()
    assert code in structures._code_of(Predictor())


def test_a_damaged_file_is_made_anew(compute, tmp_path):
    compute()
    for path in (tmp_path / "cache" / "structures").iterdir():
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert compute().train_structure["degree"].tolist() == [1, 2, 1, 0, 0]
    assert CALLS == [4, 6, 4, 6]
