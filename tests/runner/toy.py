"""A run in miniature: ten nodes, a few weights, and chance wherever a run has it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.config.schema import Train
from runner.data.link_data import EvaluationSplit
from runner.models.encoder import Encoder
from runner.models.link_model import LinkModel
from runner.models.predictor import Predictor
from runner.models.seeded import SeededModule
from runner.ops.csr import Graph
from runner.records import checkpoint
from runner.training.encoding import FullEncoding
from runner.training.evaluator import Evaluator, RankingEvaluator
from runner.training.generators import Generators
from runner.training.loop import Training
from runner.training.negatives import UniformNonEdges
from runner.training.objective import LinkPrediction, Objective
from runner.training.optimizers import Schedule, build_optimizer
from runner.training.samplers import TargetLinkRemoval
from runner.training.state import TrainingState
from runner.training.task import Task

NODES = 10
FINGERPRINT = "a" * 64
LINKS = torch.tensor(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 5, 6],
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 5, 4, 7, 8, 9, 1],
    ]
)
VALID = EvaluationSplit(
    torch.tensor([[0, 3, 5], [2, 7, 8]]), torch.tensor([[0, 1, 2, 4, 6, 7], [4, 8, 9, 7, 3, 9]])
)
TEST = EvaluationSplit(
    torch.tensor([[1, 4, 6], [3, 6, 9]]), torch.tensor([[0, 1, 3, 4, 2, 5], [7, 9, 6, 8, 5, 3]])
)
TRAIN: Mapping[str, Any] = {
    "epochs": 3,
    "reweight": None,
    "all_links": False,
    "batch_size": 4,
    "eval_batch_size": 4,
    "lr_encoder": 0.05,
    "lr_predictor": 0.02,
    "weight_decay": 0.0,
    "optimizer": {"_target_": "torch.optim.Adam"},
    "schedule": None,
    "patience": None,
    "evaluate_every": 1,
    "init_from": None,
    "init_mode": "weights",
    "clip_norm": None,
    "checkpoint_minutes": 10.0,
    "checkpoint_steps": None,
    "keep_checkpoints": 2,
    "grace_seconds": 25,
    "precision": "float32",
    "not_finite": "stop",
}


def settings(**changed: Any) -> Train:
    return Train(**{**TRAIN, **changed})


class Sums(Encoder):
    """A linear layer with dropout, and the sum over neighbours."""

    layers = 1

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.dropout = dropout

    def forward(self, features, graph, weight=None):
        h = F.dropout(self.linear(features), self.dropout, self.training)
        return h.index_add(0, graph.row, h[graph.col.long()])


class Product(Predictor):
    """A linear layer on the product of both ends; noise of two sources, in evaluation too."""

    reach = 0

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 1)
        self.seeded = SeededModule(5)
        self.noise = noise

    def forward(self, h, view, pairs):
        logits = self.linear(h[pairs[0]] * h[pairs[1]]).squeeze(-1)
        own = torch.randn(logits.numel(), generator=self.seeded.generator)
        return logits + self.noise * (own + torch.randn(logits.numel()))


class Scripted(Evaluator):
    """Gives these validation scores, one at a time, and their negatives for the test."""

    names = ("score",)
    selection = "score"

    def __init__(self, *valid: float) -> None:
        self.valid = valid
        self.asked: list[tuple[Any, EvaluationSplit]] = []

    def evaluate(self, model, inputs, split, between_batches=lambda: None, ranks=None):
        between_batches()
        self.asked.append((inputs, split))
        number, is_test = divmod(len(self.asked) - 1, 2)
        return {"score": -self.valid[number] if is_test else self.valid[number]}


def build(
    *,
    chance: float = 0.2,
    predictor: Predictor | None = None,
    objective: Objective | None = None,
    evaluator: Evaluator | None = None,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
    drop_last: bool = True,
    **changed: Any,
) -> Training:
    """A fresh run, the same each time.

    Args:
        chance: of dropout in the encoder, and the size of the noise in the predictor.
        changed: of the settings in TRAIN.
    """
    train = settings(**changed)
    torch.manual_seed(1)
    model = LinkModel(Sums(chance), predictor or Product(chance))
    features = torch.randn(NODES, 3)
    graph = Graph.from_edges(LINKS, NODES)
    if evaluator is None:
        evaluator = RankingEvaluator(
            metrics=["hits@2", "mrr"], select="mrr", batch_size=train.eval_batch_size
        )
        evaluator.prepare({"valid": VALID, "test": TEST})
    generators = Generators(batches=2, negatives=3, dropout=4)
    made = build_optimizer(
        model, make=optimizer, lr_encoder=train.lr_encoder, lr_predictor=train.lr_predictor
    )
    support = torch.tensor([[0], [9]])
    with_support = Graph.from_edges(torch.cat([LINKS, support], dim=1), NODES)
    with_validation = Graph.from_edges(torch.cat([LINKS, support, VALID.positive], dim=1), NODES)
    return Training(
        model=model,
        task=Task(features, graph, with_support, with_validation, VALID, TEST),
        objective=objective or LinkPrediction(),
        sampler=TargetLinkRemoval(
            batch_size=train.batch_size,
            drop_last=drop_last,
            graph=graph,
            targets=LINKS,
            negatives=UniformNonEdges(),
            generators=generators,
        ),
        encoding=FullEncoding(),
        evaluator=evaluator,
        generators=generators,
        optimizer=made,
        schedule=Schedule(schedule(made)) if schedule else None,
        settings=train,
    )


def resumed(content: Mapping[str, Any], **same: Any) -> tuple[Training, TrainingState]:
    """A run as another process would take it up from a checkpoint."""
    run = build(**same)
    for source in (run.generators.batches, run.generators.negatives, torch.default_generator):
        source.manual_seed(99)
    return run, checkpoint.restore(copy.deepcopy(dict(content)), run)


class Recording:
    """A recorder that lists what it is told, as (name, …).

    Args:
        run: of which each saved moment is kept in `saved`, as a checkpoint would.
        stop_at: number of the question, counted from 1, whether to stop that is answered by yes.
        checkpoint_steps: a checkpoint is due so many steps after the last.
        on_step: called after each step.
    """

    def __init__(
        self,
        run: Training,
        *,
        stop_at: int | None = None,
        checkpoint_steps: int | None = None,
        on_step: Callable[[TrainingState], None] = lambda state: None,
    ) -> None:
        self.run = run
        self.stop_at = stop_at
        self.checkpoint_steps = checkpoint_steps
        self.on_step = on_step
        self.calls: list[tuple[Any, ...]] = []
        self.saved: list[dict[str, Any]] = []
        self.questions = 0
        self.steps = 0

    def step(self, state: TrainingState, steps: int, loss: float) -> None:
        self.calls.append(("step", state.epoch, state.step, steps, loss))
        self.steps += 1
        self.on_step(state)

    def epoch(self, row: dict[str, float], state: TrainingState, improved: bool) -> None:
        self.calls.append(("epoch", row, improved))
        self._save(state)

    def checkpoint(self, state: TrainingState) -> None:
        self.calls.append(("checkpoint", state.epoch, state.step))
        self._save(state)

    def checkpoint_due(self) -> bool:
        return self.checkpoint_steps is not None and self.steps >= self.checkpoint_steps

    @property
    def stop_requested(self) -> Callable[[], bool]:
        return self._ask

    def not_finite(self, report: Mapping[str, Any]) -> None:
        self.calls.append(("not_finite", dict(report)))

    def last_checkpoint(self) -> str:
        return "the one before"

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """What it was told under this name."""
        return [rest for called, *rest in self.calls if called == name]

    def rows(self) -> list[dict[str, float]]:
        return [without_seconds(row) for row, _ in self.named("epoch")]

    def _ask(self) -> bool:
        self.questions += 1
        return self.questions == self.stop_at

    def _save(self, state: TrainingState) -> None:
        self.steps = 0
        self.saved.append(copy.deepcopy(checkpoint.snapshot(self.run, state, FINGERPRINT)))


def without_seconds(row: Mapping[Any, Any]) -> dict[Any, Any]:
    """What is the same in each repetition of a run."""
    return {name: value for name, value in row.items() if "seconds" not in str(name)}


def assert_same(one: Any, other: Any, where: str = "") -> None:
    """The same to the bit, seconds aside."""
    assert type(one) is type(other), where
    if isinstance(one, Mapping):
        one, other = without_seconds(one), without_seconds(other)
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{number}]")
    elif isinstance(one, Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where
