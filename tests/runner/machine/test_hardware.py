import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from runner.errors import RunnerError
from runner.machine import hardware


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


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an Apple GPU")
def test_a_missing_apple_gpu_is_named():
    with pytest.raises(RunnerError, match=r"hardware\.device=mps"):
        hardware.set_up(device="mps", threads=None, deterministic=True)


@pytest.mark.parametrize("supported", [True, False])
def test_a_precision_that_the_processor_emulates_is_named(monkeypatch, caplog, supported):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    for precision, device in (("bfloat16", "cpu"), ("float32", "cpu"), ("bfloat16", "cuda")):
        asked = {"train.precision": precision, "model.completion.precision": None}
        hardware.warn_of_emulated(asked, torch.device(device))
    assert caplog.text.count("train.precision=bfloat16: this processor") == (not supported)


def test_processes_share_the_cores(monkeypatch):
    monkeypatch.setattr(hardware, "_available_cores", lambda: 7)
    hardware.set_up(device="cpu", threads=None, deterministic=False, place=(1, 3))
    assert torch.get_num_threads() == 2


HELD = """
import sys, torch
from runner.machine import hardware
hardware.set_up(device="cpu", threads=1, deterministic=True, keep_freed_memory=sys.argv[1] == "1")
held = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
before = held()
block = torch.ones(2**28 // 4)
block = None
print(held() - before)
"""


@pytest.mark.command
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("keep", [True, False])
def test_freed_memory_is_kept_or_returned(keep):
    command = [sys.executable, "-c", HELD, str(int(keep))]
    mebibytes = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert mebibytes > 200 if keep else mebibytes < 60


@pytest.mark.parametrize("keep", [True, False])
def test_a_run_keeps_freed_memory_as_its_config_says(runner, monkeypatch, keep):
    seen = []
    monkeypatch.setattr(hardware, "_keep_freed_memory", seen.append)
    fast = ("dataset=lesmis", "model=gae", "train.epochs=1", "tracker=none")
    code, _, _ = runner(*fast, f"hardware.keep_freed_memory={keep}")
    assert code == 0
    assert seen == [keep]


def test_peak_memory_sees_an_allocation():
    device = torch.device("cpu")
    hardware.reset_peak_memory(device)
    before = hardware.peak_memory_gib(device)
    with mmap.mmap(-1, 2**28) as block:  # malloc may have as much from tests before this one
        np.frombuffer(block, np.uint8)[:] = 1
    assert hardware.peak_memory_gib(device) - before > 0.2
