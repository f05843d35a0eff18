"""Training steps and evaluations of whole models, each in a process of its own."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.graphs import Case, config, load
from benchmarks.timing import Times, unit
from runner.config.schema import RunConfig
from runner.data.link_data import EvaluationSplit
from runner.experiment.build import build, build_model, load_data
from runner.experiment.parts import compact
from runner.machine import hardware
from runner.machine.profiler import StageProfile
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows
from runner.ops.stage import observed
from runner.training.encoding import Encoding
from runner.training.evaluator import RankingEvaluator
from runner.training.generators import Generators
from runner.training.objective import LinkPrediction, Step
from runner.training.optimizers import build_optimizer
from runner.training.samplers import Batch, LinkSampler
from runner.training.step import train_step
from runner.training.task import Inputs

EVALUATED_PAIRS = 65_536


@dataclass(frozen=True, eq=False)
class Bench:
    """A model in its published setting, ready to train on a graph."""

    model: Any
    features: torch.Tensor | SparseRows
    graph: Graph
    sampler: LinkSampler
    encoding: Encoding
    optimizer: torch.optim.Optimizer
    settings: dict[str, Any]
    structure: Any

    @property
    def inputs(self) -> Inputs:
        return Inputs(self.features, self.graph, self.structure)

    def batches(self) -> Iterator[Batch]:
        while True:
            yield from self.sampler.epoch()

    def step(self, batch: Batch) -> None:
        seen = self.encoding.view(self.inputs, batch)
        train_step(LinkPrediction(), Step(self.model, batch, seen), self.optimizer, None)

    def evaluate(self, positives: torch.Tensor, negatives: torch.Tensor) -> None:
        evaluator = RankingEvaluator(
            metrics=["hits@50"],
            select="hits@50",
            batch_size=self.settings["train"]["eval_batch_size"],
        )
        evaluator.prepare({"valid": EvaluationSplit(positives, negatives)})
        split = EvaluationSplit(positives, negatives)
        evaluator.evaluate(self.model, self.inputs, split)


def prepare(case: Case, settings: dict[str, Any], device: torch.device) -> Bench:
    features = compact(case.features).to(device)
    graph, targets = case.graph().to(device), case.edges.to(device)
    width = case.features.shape[-1]
    model = build_model(
        RunConfig.read(settings),
        num_features=width,
        num_categories=case.num_categories,
        num_nodes=graph.num_nodes,
    )
    model = model.to(device)
    generators = Generators(batches=0, negatives=0, dropout=0)
    batch_size = min(settings["train"]["batch_size"], targets.shape[1])
    sampler = build(
        "sampler",
        {**settings["sampler"], "batch_size": batch_size},
        graph=graph,
        targets=targets,
        negatives=build("negatives", settings["negatives"]),
        generators=generators,
    )
    optimizer = build_optimizer(
        model,
        lr_encoder=settings["train"]["lr_encoder"],
        lr_predictor=settings["train"]["lr_predictor"],
    )
    encoding: Encoding = build("encoding", settings["encoding"])
    encoding.prepare(model, graph, targets, batch_size)
    with torch.no_grad():
        structure = model.predictor.structure(graph)
    bench = model.train(), features, graph, sampler, encoding, optimizer, settings, structure
    return Bench(*bench)


def measure(
    model: str,
    graph: str,
    *,
    scale: float,
    threads: int | None,
    repeats: int,
    limit: int,
    device: str,
    overrides: tuple[str, ...] = (),
    density: float = 1.0,
    evaluated: bool = True,
) -> dict[str, Any]:
    """One training step and, where `evaluated`, one evaluation of 65,536 pairs.

    Seconds of every repetition, share of each stage, the most memory, and U afterwards; None where
    `limit` seconds were not enough.
    """
    settings = config(model, graph, tuple(overrides))
    place = hardware.set_up(
        device=device,
        threads=threads,
        deterministic=settings["hardware"]["deterministic"],
        keep_freed_memory=settings["hardware"]["keep_freed_memory"],
        compile=settings["hardware"]["compile"],
    )
    settle = _settle(place)
    bench = prepare(load(graph, settings, scale=scale, density=density), settings, place)
    hardware.reset_peak_memory(place)
    profile = StageProfile(lambda: 0.0, settle=settle)
    batches = bench.batches()

    def step() -> None:
        bench.model.train()
        bench.step(next(batches))
        settle()

    def evaluate() -> None:
        bench.evaluate(positives, negatives)
        settle()

    half = EVALUATED_PAIRS // 2
    seeded = torch.Generator().manual_seed(0)
    rows = torch.randint(bench.sampler.targets.shape[1], (half,), generator=seeded)
    positives = bench.sampler.targets[:, rows.to(place)]
    negatives = torch.randint(bench.graph.num_nodes, (2, half), generator=seeded).to(place)

    steps = _timed(step, repeats, limit, profile)
    memory = hardware.peak_memory_gib(place)
    stages = {name: cost.seconds for name, cost in profile.costs.items()}
    evaluations = _timed(evaluate, repeats, limit, None) if evaluated else None
    return {
        "graph": _sizes(bench),
        "step": steps,
        "stages": stages,
        "evaluation": evaluations,
        "step_gib": memory,
        "peak_gib": hardware.peak_memory_gib(place),
        "unit": unit(),
    }


def _sizes(bench: Bench) -> dict[str, float]:
    degree, features = bench.graph.degree().double(), bench.features
    width = features.num_columns if isinstance(features, SparseRows) else features.shape[-1]
    return {
        "nodes": bench.graph.num_nodes,
        "entries": bench.graph.num_entries,
        "features": width,
        "degree_at_random": float(degree.mean()),
        "degree_at_a_link": float(degree.square().sum() / degree.sum()),
    }


def measure_epoch(
    model: str, graph: str, *, threads: int | None, repeats: int, limit: int, device: str
) -> dict[str, Any]:
    """An epoch with its evaluation of both splits, as `runner` runs it, and U afterwards."""
    settings = config(model, graph)
    place = hardware.set_up(device=device, threads=threads, deterministic=True)
    data = load_data(RunConfig.read(settings))
    bench = prepare(load(graph, settings), settings, place)
    pairs = [
        (split.positive.to(place), split.negative.to(place)) for split in (data.valid, data.test)
    ]

    def epoch() -> None:
        bench.model.train()
        for batch in bench.sampler.epoch():
            bench.step(batch)
        for positives, negatives in pairs:
            bench.evaluate(positives, negatives)

    return {"epoch": _timed(epoch, repeats, limit, None), "unit": unit()}


def _settle(device: torch.device) -> Callable[[], None]:
    """Waits for what the device still computes."""
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


def _timed(
    function: Callable[[], None], repeats: int, limit: int, profile: StageProfile | None
) -> list[float] | None:
    """Seconds of `repeats` calls after an unmeasured one; None if one takes over `limit`."""
    taken = []
    try:
        with _alarm(limit):
            function()
        for _ in range(repeats):
            began = time.perf_counter()
            with _alarm(limit):
                if profile is None:
                    function()
                else:
                    with observed(profile):
                        function()
            taken.append(time.perf_counter() - began)
    except TimeoutError:
        return None
    return taken


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def in_units(seconds: list[float] | None, unit_seconds: float, limit: int) -> tuple[str, str]:
    """The cells "seconds" and "U"."""
    if seconds is None:
        return f"> {limit}, stopped", f"> {limit / unit_seconds:.0f}"
    times = Times(tuple(seconds))
    return str(times), f"{times.median / unit_seconds:.2f}"
