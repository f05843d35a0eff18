"""What the processes of one run (data parallel) share out, and tell each other."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")
_SHARED_MEMORY = Path("/dev/shm")


class Ranks:
    """A run's only process: all is its own, and nobody is told.

    Attributes:
        rank, size: this process's number among those of the run, and how many they are.
        local_rank, local_size: the same on this machine.
    """

    rank, size = 0, 1
    local_rank, local_size = 0, 1

    def share(self, pairs: Tensor) -> Tensor:
        """This process's columns of ``pairs``, (2, B), which all processes have."""
        return pairs

    @contextmanager
    def own_chance(self, model: nn.Module) -> Iterator[None]:
        """Inside, dropout and sampling differ from process to process."""
        yield

    def add_gradients(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> float:
        """Sum the gradients and the losses of all processes' shares; the whole loss."""
        return loss.item()

    def first(self, number: int) -> int:
        """The smallest number of all processes."""
        return number

    def any(self, flag: bool) -> bool:
        """Whether one of the processes says yes."""
        return flag

    def gather(self, parts: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
        """``parts``, one after the other, each from the process ``number % size`` that has it.

        Args:
            parts: of one dimension; those of other processes are not looked at.
            sizes: of all parts.
        """
        return torch.cat(list(parts))

    def same_state(self, model: nn.Module) -> None:
        """Give all processes the weights of process 0, and its default generators."""

    def once_a_host(self, make: Callable[[], T], safe: Sequence[type]) -> T:
        """What ``make`` makes, made by one process of each machine for all that are there.

        Tensors are not copied: all processes of a machine map the same memory.

        Args:
            safe: the classes that it is made of, beside tensors and plain values.
        """
        return make()


ALONE = Ranks()


class Group(Ranks):
    """One of several processes, connected through ``torch.distributed``.

    All of them call its methods in the same order. Sums come to all in the same bits, so that
    weights, and what is decided by them, stay the same everywhere without being sent.

    The order of batches, negatives and everything in the encoder are drawn alike by all. Within
    :meth:`own_chance`, process r draws from generators seeded with a common draw plus r.
    """

    def __init__(self, *, local_rank: int, local_size: int) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.local_rank, self.local_size = local_rank, local_size

    def share(self, pairs: Tensor) -> Tensor:
        return pairs.tensor_split(self.size, dim=1)[self.rank]

    @contextmanager
    def own_chance(self, model: nn.Module) -> Iterator[None]:
        found = (getattr(module, "generator", None) for module in model.modules())
        own = [generator for generator in found if isinstance(generator, torch.Generator)]
        drawn = [int(torch.randint(2**62, (), generator=generator)) for generator in own]
        common = int(torch.randint(2**62, ()))
        states = [generator.get_state() for generator in own]
        with torch.random.fork_rng(_devices(model)):
            torch.manual_seed(common + self.rank)
            for generator, seed in zip(own, drawn, strict=True):
                generator.manual_seed(seed + self.rank)
            yield
        for generator, state in zip(own, states, strict=True):
            generator.set_state(state)

    def add_gradients(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> float:
        # Whether anybody has a gradient travels along: Adam tells none from one of zeros.
        has = [float(p.grad is not None) for p in parameters]
        flat = torch.cat(
            [
                loss.detach().reshape(1),
                loss.new_tensor(has),
                *(
                    torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten()
                    for p in parameters
                ),
            ]
        )
        dist.all_reduce(flat)
        whole, has_now, sums = flat.split([1, len(has), flat.numel() - 1 - len(has)])
        gradients = sums.split([p.numel() for p in parameters])
        for parameter, some, gradient in zip(parameters, has_now.tolist(), gradients, strict=True):
            parameter.grad = gradient.view_as(parameter) if some else None
        return whole.item()

    def first(self, number: int) -> int:
        value = torch.tensor(number)
        dist.all_reduce(value, dist.ReduceOp.MIN)
        return int(value)

    def any(self, flag: bool) -> bool:
        return self.first(int(not flag)) == 0

    def gather(self, parts: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
        mine = torch.cat(list(parts[self.rank :: self.size]) or [torch.zeros(0)]).cpu()
        everybody: list[Tensor] = [mine] * self.size
        dist.all_gather_object(everybody, mine)
        split = [
            iter(scores.split(list(sizes[rank :: self.size])))
            for rank, scores in enumerate(everybody)
        ]
        return torch.cat([next(split[i % self.size]) for i in range(len(sizes))])

    def same_state(self, model: nn.Module) -> None:
        with torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                dist.broadcast(tensor, 0)
        on_gpu = torch.cuda.is_initialized()
        states = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if on_gpu else [])]
        dist.broadcast_object_list(states, 0)
        torch.set_rng_state(states[0])
        if on_gpu:
            torch.cuda.set_rng_state(states[1])

    def once_a_host(self, make: Callable[[], T], safe: Sequence[type]) -> T:
        hosts: list[str | None] = [None] * self.size
        mine = Path()
        if self.local_rank == 0:
            mine = _stored(make())
        dist.all_gather_object(hosts, None if self.local_rank else f"{self._key()} {mine}")
        found = dict(entry.split(" ", 1) for entry in hosts if entry is not None)
        try:
            with torch.serialization.safe_globals(list(safe)):
                return torch.load(found[self._key()], mmap=True, weights_only=True)
        finally:
            dist.barrier()
            if self.local_rank == 0:
                mine.unlink(missing_ok=True)  # its pages stay as long as somebody has them

    def _key(self) -> str:
        """Of this machine, among those of the run."""
        return os.environ.get("GROUP_RANK", "") or socket.gethostname()


def _devices(model: nn.Module) -> list[torch.device]:
    return list({p.device for p in model.parameters() if p.device.type == "cuda"})


def _stored(value: object) -> Path:
    """A new file with ``value``: in memory, or on the disk where there is little for files."""
    handle, path = tempfile.mkstemp(prefix=f"runner-{os.getpid()}-", suffix=".pt")
    os.close(handle)
    torch.save(value, path)
    if _SHARED_MEMORY.is_dir():
        size = os.path.getsize(path)
        if shutil.disk_usage(_SHARED_MEMORY).free > 2 * size:
            return Path(shutil.move(path, _SHARED_MEMORY))
    return Path(path)
