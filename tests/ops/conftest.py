from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from ops import backend


@pytest.fixture(params=["compiled", "plain"])
def form(request):
    """Run the test in both forms of the operators; its name."""
    with nullcontext() if request.param == "compiled" else backend.plain():
        yield request.param


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)
