from __future__ import annotations

import pytest
import torch

from runner.ops.blocks import map_blocks


@pytest.mark.parametrize("count", [1, 2, 9])
def test_in_order_on_one_thread_each_without_gradient(two_threads, count):
    weight = torch.ones(1, requires_grad=True)

    def block(number):
        assert torch.get_num_threads() == 1
        return number * weight

    values = map_blocks(block, count)
    assert [float(value) for value in values] == list(range(count))
    assert not any(value.requires_grad for value in values)
    assert torch.get_num_threads() == 2


def test_an_error_leaves_the_threads_as_they_were(two_threads):
    with pytest.raises(ZeroDivisionError):
        map_blocks(lambda block: torch.ones(1) * (1 // (block - 3)), 5)
    assert torch.get_num_threads() == 2
