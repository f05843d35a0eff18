"""What the processes of one run (data parallel) share out, and tell each other."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from runner.errors import RunnerError
from runner.models.node_embedding import gradient_values, with_values
from runner.models.seeded import SeededModule
from runner.storage.shared_file import stored

T = TypeVar("T")


class Ranks:
    """A run's only process: all is its own, and nobody is told.

    Attributes:
        rank, size: this process's number among those of the run, and how many they are.
        local_rank, local_size: the same on this machine.
        moment: epoch and step under way, which decide what :meth:`own_chance` draws.
    """

    rank, size = 0, 1
    local_rank, local_size = 0, 1
    moment = (0, 0)

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

    def agree(self, text: str, what: str) -> None:
        """Make sure that all processes have the same text.

        Raises:
            RunnerError: if not, naming ``what`` it is.
        """

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
    :meth:`own_chance`, generators are seeded by their first seed, the moment and the rank, and are
    as before afterwards: what a resume draws does not depend on where the run was stopped.

    Args:
        lost: says why a process does not answer.
    """

    def __init__(self, *, local_rank: int, local_size: int, lost: Callable[[], Exception]) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.local_rank, self.local_size = local_rank, local_size
        self._lost = lost

    def share(self, pairs: Tensor) -> Tensor:
        return pairs.tensor_split(self.size, dim=1)[self.rank]

    @contextmanager
    def own_chance(self, model: nn.Module) -> Iterator[None]:
        drawing = [m for m in model.modules() if isinstance(m, SeededModule)]
        own = [module.generator for module in drawing if not module.alike]
        states = [generator.get_state() for generator in own]
        with torch.random.fork_rng(_devices(model)):
            torch.manual_seed(self._seed(torch.initial_seed()))
            for generator in own:
                generator.manual_seed(self._seed(generator.initial_seed()))
            try:
                yield
            finally:
                for generator, state in zip(own, states, strict=True):
                    generator.set_state(state)

    def _seed(self, first: int) -> int:
        sequence = np.random.SeedSequence([first % 2**64, *self.moment, self.rank])
        return int(sequence.generate_state(1, np.uint64)[0] >> 1)

    def add_gradients(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> float:
        # Whether anybody has a gradient travels along: Adam tells none from one of zeros.
        has = [float(p.grad is not None) for p in parameters]
        # Embeddings have one for the same rows everywhere: all processes encode the same nodes.
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        values = [gradient_values(gradient) for gradient in own]
        numbers = (x.flatten().to(loss.device) for x in values)
        flat = torch.cat([loss.detach().reshape(1), loss.new_tensor(has), *numbers])
        if flat.is_cuda:
            self.first(0)  # there, a sum would wait for a dead process
        with self._connected():
            dist.all_reduce(flat)
        whole, has_now, sums = flat.split([1, len(has), flat.numel() - 1 - len(has)])
        parts = sums.split([x.numel() for x in values])
        for i, (parameter, some) in enumerate(zip(parameters, has_now.tolist(), strict=True)):
            total = parts[i].to(parameter.device).view_as(values[i])
            parameter.grad = with_values(own[i], total) if some else None
        return whole.item()

    def first(self, number: int) -> int:
        value = torch.tensor(number)
        with self._connected():
            dist.all_reduce(value, dist.ReduceOp.MIN)
        return int(value)

    def any(self, flag: bool) -> bool:
        return self.first(int(not flag)) == 0

    def gather(self, parts: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
        mine = torch.cat(list(parts[self.rank :: self.size]) or [torch.zeros(0)]).cpu()
        everybody: list[Tensor] = [mine] * self.size
        with self._connected():
            dist.all_gather_object(everybody, mine)
        split = [
            iter(scores.split(list(sizes[rank :: self.size])))
            for rank, scores in enumerate(everybody)
        ]
        return torch.cat([next(split[i % self.size]) for i in range(len(sizes))])

    def same_state(self, model: nn.Module) -> None:
        on_gpu = bool(_devices(model))
        states = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if on_gpu else [])]
        with self._connected(), torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                dist.broadcast(tensor, 0)
            dist.broadcast_object_list(states, 0)
        torch.set_rng_state(states[0])
        if on_gpu:
            torch.cuda.set_rng_state(states[1])

    def once_a_host(self, make: Callable[[], T], safe: Sequence[type]) -> T:
        if self.local_rank:
            return self._load(None, safe)
        with stored(make()) as file:
            return self._load(file, safe)

    def _load(self, file: Path | None, safe: Sequence[type]) -> Any:
        """What process 0 of this machine has stored, once all have it."""
        hosts: list[str | None] = [None] * self.size
        with self._connected():
            dist.all_gather_object(hosts, file and f"{self._key()} {file}")
            found = dict(entry.split(" ", 1) for entry in hosts if entry is not None)
            with torch.serialization.safe_globals(list(safe)):
                value = torch.load(found[self._key()], mmap=True, weights_only=True)
            dist.barrier()
        return value

    def agree(self, text: str, what: str) -> None:
        texts: list[str] = [text] * self.size
        with self._connected():
            dist.all_gather_object(texts, text)
        if len(set(texts)) > 1:
            raise RunnerError(f"the processes of this run have different {what}: {set(texts)}")

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if not is_lost_connection(error):
                raise
            raise self._lost() from error

    def _key(self) -> str:
        """Of this machine, among those of the run."""
        return os.environ.get("GROUP_RANK", "") or socket.gethostname()


def _devices(model: nn.Module) -> list[torch.device]:
    return list({p.device for p in model.parameters() if p.device.type == "cuda"})


def is_lost_connection(error: Exception) -> bool:
    """Whether torch.distributed says that another process has gone."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)
