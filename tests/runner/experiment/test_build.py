from __future__ import annotations

import pytest

from runner.errors import RunnerError
from runner.experiment.build import build


@pytest.mark.parametrize("name", ["tracker", "model", "evaluator", "negatives"])
def test_a_target_that_gives_something_else_than_such_a_part(name):
    with pytest.raises(
        RunnerError, match=rf"{name}\._target_: os\.getcwd gives a str, which is no"
    ):
        build(name, {"_target_": "os.getcwd"})


def test_what_a_factory_does_not_take_is_an_error_of_its_part():
    with pytest.raises(RunnerError, match=r"sampler cannot be built: .* no keyword"):
        build("sampler", {"_target_": "os.getcwd"}, graph=3)


def test_too_little_memory_is_no_mistake_of_the_part():
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        build("model", {"_target_": "torch.nn.Linear", "in_features": 10**8, "out_features": 10**8})
