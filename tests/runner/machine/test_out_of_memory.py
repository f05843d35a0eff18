import numpy as np
import pytest
import torch

from runner.machine.out_of_memory import is_out_of_memory


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(10**15),
        lambda: torch.empty(10**12, 10**12),
        lambda: np.empty((10**9, 10**6)),
        lambda: bytearray(10**17),
    ],
)
def test_every_library_says_it_in_its_own_way(ask):
    with pytest.raises((RuntimeError, MemoryError)) as error:
        ask()
    assert is_out_of_memory(error.value)


def test_other_errors_are_none():
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(ValueError("out of memory"))
