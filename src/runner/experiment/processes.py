"""Several processes for one run: started here, or by torchrun, and ended with the run.

Process 0 is the run: it alone reads configs and checkpoints, writes, logs and receives signals. The
others receive their work from it, and hold no state that a resume needs.

torch.distributed.elastic does not fit: it replaces process 0's signal handlers, gives processes
that ignore SIGTERM 30 seconds more, and starts a function only by a new import of the caller's
script.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from runner.errors import Interrupted, RunnerError
from runner.machine.signals import ignored_by_children
from runner.training.ranks import ALONE, Group, Ranks, is_lost_connection

_PATIENCE = timedelta(days=7)  # for slow processes; a dead one breaks its connections
_GOODBYE_SECONDS = 10
_PARENT = "RUNNER_PARENT"
# Without the working directory, whose modules may have our names.
_FOLLOW = """
import sys
sys.path[:] = filter(None, sys.path)
from runner.experiment.processes import follow
follow()
"""
_POLL_SECONDS = 0.05
_CPU = torch.device("cpu")
_PR_SET_PDEATHSIG = 1


class _RemoteTraceback(Exception):
    """The traceback of another process."""


class _ProcessLost(Exception):
    """Process 0 has died, or has found a dead process."""


def number(config: Mapping[str, Any]) -> int:
    """The number of processes of this run, including this one."""
    if dist.is_initialized():
        return dist.get_world_size()
    wanted = config["hardware"]["processes"]
    if wanted == "auto":
        gpus = torch.cuda.device_count() if config["hardware"]["device"] != "cpu" else 0
        return gpus or 2
    return int(wanted)


_meeting_place: dist.Store | None = None  # of processes started by torchrun


def join() -> None:
    """Meet the other processes of torchrun, as process 0."""
    global _meeting_place
    _meeting_place, rank, size = next(dist.rendezvous("env://"))
    _connect(_meeting_place, rank, size)


@contextmanager
def together(config: Mapping[str, Any], **shared: Any) -> Iterator[Ranks]:
    """Compute inside with all processes of the run; processes started here end with the `with`.

    Args:
        shared: arguments of :func:`~runner.experiment.follow.compute` in the other processes,
            beside config and ranks.

    Raises:
        RunnerError: if another process fails or dies.
    """
    size = number(config)
    if size == 1:
        yield ALONE
        return
    with _meet_others(size) as (store, others):

        def lost() -> NoReturn:
            # Raised here: `raise … from` elsewhere would hide its cause, the remote traceback.
            raise _failure_error(store, size, others)

        try:
            dist.broadcast_object_list([{"config": dict(config), **shared}], 0, device=_CPU)
        except RuntimeError as error:
            if not is_lost_connection(error):
                raise
            lost()
        yield _make_group(lost)


@contextmanager
def _meet_others(size: int) -> Iterator[tuple[dist.Store, Mapping[int, subprocess.Popen[bytes]]]]:
    if _meeting_place is not None:
        yield _meeting_place, {}
        return
    store = dist.TCPStore("127.0.0.1", 0, size, is_master=True, wait_for_workers=False)
    others = {rank: _start_process(rank, size, store.port) for rank in range(1, size)}
    try:
        _await_others(store, size, others)
        _connect(store, 0, size)
        yield store, others
    except BaseException:
        for process in others.values():
            process.kill()
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
        for process in others.values():
            try:
                process.wait(_GOODBYE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_others(
    store: dist.Store, size: int, processes: Mapping[int, subprocess.Popen[bytes]]
) -> None:
    """Wait until all are ready: the rendezvous itself could not be interrupted."""
    while not store.check([f"ready/{rank}" for rank in processes]):
        if any(process.poll() is not None for process in processes.values()):
            raise _failure_error(store, size, processes)
        time.sleep(_POLL_SECONDS)


def _start_process(rank: int, size: int, port: int) -> subprocess.Popen[bytes]:
    place = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, _PARENT: os.getpid()}
    added = {name: str(value) for name, value in {**place, **meeting}.items()}
    # Ctrl-C reaches all processes: it must not end one before it ignores the signal.
    with ignored_by_children(signal.SIGINT):
        return subprocess.Popen([sys.executable, "-c", _FOLLOW], env={**os.environ, **added})


def _connect(store: dist.Store, rank: int, size: int) -> None:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)


def _make_group(lost: Callable[[], Exception]) -> Group:
    rank, size = dist.get_rank(), dist.get_world_size()
    return Group(
        local_rank=int(os.environ.get("LOCAL_RANK", rank)),
        local_size=int(os.environ.get("LOCAL_WORLD_SIZE", size)),
        lost=lost,
    )


def _failure_error(
    store: dist.Store, size: int, processes: Mapping[int, subprocess.Popen[bytes]]
) -> RunnerError:
    """The error for the process that has failed or died."""
    for process in processes.values():
        # One has ended; the others notice and end too.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GOODBYE_SECONDS)
    remedy = "a resume goes on from the last checkpoint"
    for rank in range(1, size):
        failure = _read_failure(store, rank)
        if failure is not None:
            message, trace = failure.split("\n", 1)
            error = RunnerError(f"process {rank} of {size}: {message}; {remedy}")
            error.__cause__ = _RemoteTraceback(trace)
            return error
        if rank in processes and (code := processes[rank].returncode):
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            hint = ", often for want of memory" if code == -signal.SIGKILL else ""
            return RunnerError(f"process {rank} of {size} has died ({how}{hint}); {remedy}")
    return RunnerError(f"one of the {size} processes has died; {remedy}")


def _read_failure(store: dist.Store, rank: int) -> str | None:
    with contextlib.suppress(RuntimeError):
        if store.check([_failure_key(rank)]):
            return str(store.get(_failure_key(rank)).decode())
    return None


def _failure_key(rank: int) -> str:
    return f"failure/{rank}"


def follow() -> None:
    """The main function of another process: compute with process 0, then exit."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(name, signal.SIG_IGN)  # process 0 receives them, and all stop together
    if _PARENT in os.environ:
        _end_with_parent()
    logging.basicConfig(level=logging.ERROR)  # process 0 logs the rest
    store, rank, size = next(dist.rendezvous("env://"))
    try:
        store.set(f"ready/{rank}", "")
        _connect(store, rank, size)
        shared: list[Any] = [None]
        dist.broadcast_object_list(shared, 0, device=_CPU)
        from runner.experiment.follow import compute

        compute(**shared[0], ranks=_make_group(_ProcessLost))
    except (Interrupted, _ProcessLost):
        return
    except Exception as error:
        if isinstance(error, RuntimeError) and is_lost_connection(error):
            return
        what = "" if isinstance(error, RunnerError) else f"unexpected {type(error).__name__}: "
        message = f"{what}{str(error).splitlines()[0] if str(error) else ''}"
        store.set(_failure_key(rank), f"{message}\n{traceback.format_exc()}")
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ[_PARENT]):
        raise SystemExit(1)
