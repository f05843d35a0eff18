from __future__ import annotations

import pytest
import torch

from runner.training.schedules import SteppedLinear


def optimizer(rates=(1.0, 0.1)):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return torch.optim.Adam(groups)


def rates_of(schedule, epochs):
    """The rates of the first group, those of the epochs in turn."""
    found = []
    for _ in range(epochs):
        found.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.optimizer.step()
        schedule.step()
    return found


def test_it_falls_in_steps_and_never_to_0():
    schedule = SteppedLinear(optimizer(), every=2, epochs=5)
    found = rates_of(schedule, 8)
    assert found == pytest.approx([1, 1, 0.6, 0.6, 0.2, 0.2, 1e-4, 1e-4])
    assert schedule.optimizer.param_groups[1]["lr"] == pytest.approx(1e-5)


def test_an_end_before_the_first_step_changes_nothing():
    assert set(rates_of(SteppedLinear(optimizer(), every=100, epochs=100), 100)) == {1.0}


def test_a_restored_one_goes_on():
    whole = rates_of(SteppedLinear(optimizer(), every=2, epochs=9), 9)
    first = SteppedLinear(optimizer(), every=2, epochs=9)
    begun = rates_of(first, 3)
    second = SteppedLinear(optimizer(), every=2, epochs=9)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    assert begun + rates_of(second, 6) == whole
