import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from runner.errors import RunnerError
from runner.sweeps.jobs import grid, split


def swept(*lines):
    return split(OverridesParser.create().parse_overrides(list(lines)))[1]


def test_what_has_one_value_is_in_every_job_and_the_later_line_counts():
    parser = OverridesParser.create()
    fixed, several = split(parser.parse_overrides(["model=a,b", "x=1", "model=c", "+y=[1,2]"]))
    assert fixed == ["model=c", "x=1", "+y=[1,2]"] and several == {}


def test_every_combination_the_last_key_fastest():
    jobs = grid(swept("model=a,b", "seed=range(2)"), [])
    assert jobs == [
        {"model": "a", "seed": "0"},
        {"model": "a", "seed": "1"},
        {"model": "b", "seed": "0"},
        {"model": "b", "seed": "1"},
    ]


def test_paired_lists_move_side_by_side():
    jobs = grid(swept("model=a,b", "seed=0,1", "train.epochs=5,9"), [["train.epochs", "model"]])
    assert jobs == [
        {"model": "a", "train.epochs": "5", "seed": "0"},
        {"model": "a", "train.epochs": "5", "seed": "1"},
        {"model": "b", "train.epochs": "9", "seed": "0"},
        {"model": "b", "train.epochs": "9", "seed": "1"},
    ]


def test_values_come_as_they_are_typed():
    jobs = grid(swept("dataset.root='a b',c", "model.t=0.10,1e-3", "x=[1,2],[3]"), [])
    assert jobs[0] == {"dataset.root": "'a b'", "model.t": "0.1", "x": "[1,2]"}
    assert len(jobs) == 8


def test_no_values_are_no_jobs():
    assert grid(swept("seed=range(0)"), []) == []
    assert grid({}, []) == [{}]


@pytest.mark.parametrize(
    ("lines", "paired", "message"),
    [
        (["a=1,2", "b=1,2,3"], [["a", "b"]], r"as many values each \(a 2, b 3\)"),
        (["a=1,2"], [["a", "b"]], "b has no list of values"),
        (["a=1,2", "b=1,2", "c=1,2"], [["a", "b"], ["b", "c"]], "b is named twice"),
        (["a=interval(0,1)"], [], r"a=interval\(0,1\): an interval has no end.*search=tpe"),
    ],
)
def test_what_cannot_be_combined(lines, paired, message):
    with pytest.raises(RunnerError, match=message):
        grid(swept(*lines), paired)
