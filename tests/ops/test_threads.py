from __future__ import annotations

import torch

from runner.ops.threads import workers


def test_one_thread_of_torch_in_each_and_ours_stay(two_threads):
    for count in (2, 3):
        pool = workers(count)
        assert torch.get_num_threads() == 2
        assert set(pool.map(lambda _: torch.get_num_threads(), range(50))) == {1}
        assert workers(count) is pool
