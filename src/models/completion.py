"""The completion stage of NCNC: how likely a neighbour of one endpoint is one of the other's."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.keys import Before, InConfig, NotNegative, Positive, PositiveInt, RunSeed, Width
from runner.models.seeded import SeededModule
from runner.ops.aggregate import gather
from runner.ops.backend import exact
from runner.ops.distinct import PairTable, distinct_pairs
from runner.ops.hash import mix
from runner.ops.overlap import NeighbourLists
from runner.ops.sample import sample_neighbours
from runner.ops.stage import stage

log = logging.getLogger(__name__)

_MEMORY_GIB = 1.0


class LearnedPrior(nn.Module):
    """t of every target pair, in (0, 1), from h_u ⊙ h_v: Linear, ReLU, Linear, sigmoid.

    The release's option ``learnpt``.

    Args:
        hidden: width H of the embeddings.
    """

    def __init__(self, *, hidden: InConfig[Width] = 64) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(hidden, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 1)
        )

    def forward(self, product: Tensor) -> Tensor:
        """log t, (B,), from the pair products, (B, H)."""
        return F.logsigmoid(self.mlp(product).squeeze(-1))


class Completion(SeededModule):
    """Weigh one-sided neighbours by the probability of the link that would make them common.

    P = alpha t p0 / (t p0 + 1 - p0) with p0 = sigmoid(s (logit - o)). The inner logit gets no
    gradient; a learned t does.

    Args:
        t: prior odds of a missing link: a number above 0, or a module that learns them.
        s: scale of the logit.
        o: offset of the logit.
        alpha: factor of the probability; it may exceed 1.
        chunk_size: inner pairs scored at a time, at most; None for no such limit.
        memory_gib: what scoring a chunk may take, about; with many neighbours a chunk is smaller.
            None for 1 GiB, on every machine, since the chunks decide which edges are dropped. Where
            memory runs out nevertheless, chunks are halved from then on, and the log says so.
        keep_train: one-sided neighbours kept of each side in training, see
            :func:`runner.ops.sample.sample_neighbours`; None for all.
        keep_eval: the same in evaluation.
        draw_eval: "hash" draws those of evaluation by a hash of the pair, so that a score depends
            on no other pair; "generator" by the generator, as runs from before.
        replacement: draw them with replacement, as the release.
        dropout: in training, score inner pairs with the predictor's dropouts of neurons and edges,
            drawn anew, as the release. Without, as in evaluation, each distinct inner pair is
            scored once, and those without common neighbours share a value of f_cn.
        precision: "bfloat16" rounds the activations and Linears of the inner predictor to 8 bits of
            mantissa, which is faster where the processor multiplies such numbers; None for those
            of the model.
        seed: of the generator that draws them, and of the hash. The generator's state is part of
            the module's state dict.

    Raises:
        ValueError: if t ≤ 0, there is no memory, a chunk or kept number is below 1, or the
            precision or the way to draw is unknown.
    """

    def __init__(
        self,
        *,
        t: InConfig[Positive | LearnedPrior] = 0.5,
        s: InConfig[float] = 4.0,
        o: InConfig[float] = 3.0,
        alpha: InConfig[NotNegative] = 1.0,
        chunk_size: InConfig[PositiveInt | None] = 262_144,
        keep_train: InConfig[PositiveInt | None] = None,
        keep_eval: InConfig[PositiveInt | None] = None,
        seed: InConfig[RunSeed] = 0,
        replacement: bool = False,
        dropout: Annotated[bool, Before(True)] = True,
        memory_gib: Annotated[Positive | None, Before(None)] = None,
        precision: Annotated[Literal["bfloat16"] | None, Before(None)] = None,
        draw_eval: Annotated[
            Literal["hash", "generator"], Before("generator", "keep_eval")
        ] = "hash",
    ) -> None:
        super().__init__(seed)
        if memory_gib is not None and memory_gib <= 0:
            raise ValueError(f"memory_gib must be above 0, or None for 1 GiB; got {memory_gib}")
        if not isinstance(t, LearnedPrior) and t <= 0:
            raise ValueError(f"t must be above 0, got {t}")
        for name, value in (
            ("chunk_size", chunk_size),
            ("keep_train", keep_train),
            ("keep_eval", keep_eval),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, or None for no limit; got {value}")
        if draw_eval not in ("hash", "generator"):
            raise ValueError(f'draw_eval must be "hash" or "generator"; got {draw_eval!r}')
        self.seed = seed
        self.draw_eval = draw_eval
        self.t = t
        self.s = s
        self.o = o
        self.alpha = alpha
        self.chunk_size = chunk_size
        self.keep_train = keep_train
        self.keep_eval = keep_eval
        self.replacement = replacement
        self.dropout = dropout
        if precision not in (None, "bfloat16"):
            raise ValueError(f'precision must be "bfloat16", or None; got {precision!r}')
        self.precision = torch.bfloat16 if precision else None
        self.memory_gib = _MEMORY_GIB if memory_gib is None else memory_gib
        self._halved = 0  # times that memory ran out

    def log_prior(self, product: Tensor) -> Tensor:
        """log t of every target pair, (B,), from the pair products, (B, H)."""
        if isinstance(self.t, LearnedPrior):
            return exact(self.t(product))
        return product.new_full((product.size(0),), math.log(self.t))

    def forward(
        self,
        score: Callable[[Tensor], Tensor],
        sides: Sequence[tuple[Tensor, NeighbourLists]],
        log_prior: Tensor,
        *,
        bytes_a_pair: float = 1.0,
        each_once: int | None = None,
        table: PairTable | None = None,
    ) -> list[tuple[NeighbourLists, Tensor]]:
        """Weigh one-sided neighbours.

        Args:
            score: inner predictor, pairs (2, n) to logits (n,); called once a chunk of a side,
                never on an empty one.
            sides: of u and of v: the other endpoints, (B,) int64, and the neighbours they lack.
            log_prior: (B,) of :meth:`log_prior`.
            bytes_a_pair: memory that ``score`` needs for each, about.
            each_once: score each distinct unordered inner pair once, for a score without chance;
                the number of nodes.
            table: where the logits of ``each_once`` are kept from call to call.

        Returns:
            Of every side, the neighbours kept and their weights, (nnz,).
        """
        ends = [other for other, _ in sides]
        # The other endpoint of the other side is this side's own.
        sampled = [
            self._sample(lists, own, other)
            for (other, lists), own in zip(sides, reversed(ends), strict=True)
        ]
        inner = [
            torch.stack((other[lists.target], lists.node))
            for (other, _), (lists, _) in zip(sides, sampled, strict=True)
        ]
        with torch.no_grad(), stage("completion"):
            if each_once is None:
                logits = [self._score_chunks(score, part, bytes_a_pair) for part in inner]
            else:
                sizes = [part.size(1) for part in inner]
                distinct, number = distinct_pairs(torch.cat(inner, dim=1), each_once)
                del inner
                compute = partial(self._score_chunks, score, bytes_a_pair=bytes_a_pair)
                logit = compute(distinct) if table is None else table.look_up(distinct, compute)
                logits = list(logit[number].split(sizes))
        weighed = []
        for (lists, factor), logit in zip(sampled, logits, strict=True):
            prior = gather(log_prior.unsqueeze(1), lists.target).squeeze(1)
            weight = self.probability(logit, prior)
            weighed.append((lists, weight if factor is None else weight * factor))
        return weighed

    @property
    def keep(self) -> int | None:
        """One-sided neighbours kept of each side in the present mode; None for all."""
        return self.keep_train if self.training else self.keep_eval

    def _sample(
        self, lists: NeighbourLists, own: Tensor, other: Tensor
    ) -> tuple[NeighbourLists, Tensor | None]:
        if self.keep is None:
            return lists, None
        hashed = not self.training and self.draw_eval == "hash"
        source = mix(self.seed, own, other) if hashed else self.generator
        return sample_neighbours(lists, self.keep, source, replacement=self.replacement)

    def _score_chunks(
        self, score: Callable[[Tensor], Tensor], pairs: Tensor, bytes_a_pair: float
    ) -> Tensor:
        logits, begin = [], 0
        while begin < pairs.size(1):
            size, chance = self._chunk(bytes_a_pair), _Chance(self.generator, pairs.device)
            try:
                logits.append(score(pairs[:, begin : begin + size]))
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error) or size == 1:
                    raise
                chance.restore()
                self._halved += 1
                log.warning(
                    "the memory does not suffice to complete %d inner pairs at a time; "
                    "%d from now on",
                    size,
                    self._chunk(bytes_a_pair),
                )
            else:
                begin += size
        return torch.cat(logits) if logits else torch.zeros(0, device=pairs.device)

    def _chunk(self, bytes_a_pair: float) -> int:
        """Inner pairs scored at a time."""
        size = int(self.memory_gib * 2**30 / bytes_a_pair)
        if self.chunk_size is not None:
            size = min(size, self.chunk_size)
        return max(1, size >> self._halved)

    def probability(self, logit: Tensor, log_prior: Tensor | float) -> Tensor:
        """P of every inner logit, of any shape, with log t of the same or a broadcast shape."""
        # t p0 / (t p0 + 1 - p0) = sigmoid(logit of p0 + log t), which no extreme logit makes 0 / 0.
        return self.alpha * torch.sigmoid(self.s * (logit - self.o) + log_prior)

    def get_extra_state(self) -> Tensor:
        """State of the generator, and how often chunks were halved: what a resume goes on with."""
        return torch.cat([super().get_extra_state(), torch.tensor([self._halved]).byte()])

    def set_extra_state(self, state: Tensor) -> None:
        size = self.generator.get_state().numel()
        super().set_extra_state(state[:size])
        self._halved = int(state[size:].sum())

    def extra_repr(self) -> str:
        t = "" if isinstance(self.t, LearnedPrior) else f"t={self.t}, "
        return f"{t}s={self.s}, o={self.o}, alpha={self.alpha}"


class _Chance:
    """The generators as they are now, for an attempt that may have to be made again."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self.generator, self.device = generator, device
        self.own, self.default = generator.get_state(), torch.get_rng_state()
        self.gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def restore(self) -> None:
        self.generator.set_state(self.own)
        torch.set_rng_state(self.default)
        if self.gpu is not None:
            torch.cuda.set_rng_state(self.gpu, self.device)


def _is_out_of_memory(error: Exception) -> bool:
    # On the CPU torch has no class of its own for it.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "DefaultCPUAllocator" in str(error)
    )
