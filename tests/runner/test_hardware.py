import pytest
import torch

from runner import hardware
from runner.errors import RunnerError


@pytest.fixture(autouse=True)
def restored():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def test_threads_and_determinism_are_set():
    device = hardware.set_up(device="cpu", threads=1, deterministic=True)
    assert device == torch.device("cpu")
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_an_error_only_when_asked_for():
    with pytest.raises(RunnerError, match=r"hardware\.device=cuda"):
        hardware.set_up(device="cuda", threads=None, deterministic=True)
    assert hardware.set_up(device="auto", threads=None, deterministic=False).type == "cpu"


def test_peak_memory_sees_an_allocation():
    device = torch.device("cpu")
    hardware.reset_peak_memory(device)
    before = hardware.peak_memory_gib(device)
    block = torch.ones(2**28 // 4)  # a quarter of a GiB
    del block
    assert hardware.peak_memory_gib(device) - before > 0.2
