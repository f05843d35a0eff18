"""The parts of a run, built from its config: data, graphs, model, sampler, optimiser."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runner.config.flat import flat
from runner.config.schema import RunConfig
from runner.data.audit import Audit
from runner.data.link_data import EvaluationSplit, LinkData
from runner.data.sizes import in_words, remember
from runner.data.validation_share import judged_splits
from runner.errors import RunnerError
from runner.experiment import structures, warm_start
from runner.experiment.build import (
    build,
    build_model,
    build_objective,
    build_optimiser,
    load_data,
)
from runner.experiment.checks import (
    check_asked,
    check_fit,
    check_parts,
    check_processes,
    check_split,
)
from runner.experiment.graphs import Graphs, build_graphs, move_graphs, words_of_test_graph
from runner.experiment.same_data import refuse_other_data
from runner.machine import hardware
from runner.models.link_model import LinkModel
from runner.models.node_embedding import node_embeddings
from runner.ops.csr import Graph
from runner.ops.nested import move
from runner.ops.sparse_rows import SparseRows, compact
from runner.records import checkpoint
from runner.training.encoding import Encoding
from runner.training.evaluator import Evaluator
from runner.training.generators import Generators
from runner.training.loop import Training
from runner.training.negatives import AmongNodes, NegativeSampler, ValidationNegatives
from runner.training.optimizers import on_disk
from runner.training.ranks import Ranks
from runner.training.samplers import LinkSampler
from runner.training.state import TrainingState
from runner.training.task import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Parts:
    """All parts of a run, freshly initialised."""

    config: RunConfig
    device: torch.device
    data: LinkData
    audit: Audit
    training: Training

    def snapshot(self, state: TrainingState) -> dict[str, Any]:
        """The content of a checkpoint now."""
        return checkpoint.snapshot(self.training, state, self.data.fingerprint)

    def restore(self, content: Mapping[str, Any]) -> TrainingState:
        """Load the content of a checkpoint."""
        return checkpoint.restore(content, self.training)

    @property
    def epochs(self) -> int:
        """The number of the last epoch, where no phase of the training ends before."""
        training = self.training
        return training.settings.epochs * training.objective.phases(training.model)

    @property
    def device_name(self) -> str:
        """ "cpu", or the name of the GPU."""
        gpu = self.device.type == "cuda"
        return torch.cuda.get_device_name(self.device) if gpu else self.device.type

    def facts(self) -> dict[str, Any]:
        """Facts about the parts for meta.json."""
        task = self.training.task
        validation_edges = self.config.protocol.validation_edges_in_test_graph
        return {
            "data": {
                "fingerprint": self.data.fingerprint,
                "graph": self.data.graph_fingerprint,
                "features": self.data.features_fingerprint,
                **({"split": self.data.split_fingerprint} if self.data.split_fingerprint else {}),
                **({"names": self.data.names_fingerprint} if self.data.names is not None else {}),
                "audit": self.audit.counts,
                **({"read": dict(self.data.facts)} if self.data.facts else {}),
            },
            "device": self.device_name,
            "test_graph": words_of_test_graph(self.data, validation_edges=validation_edges),
            "sizes": {
                "nodes": self.data.num_nodes,
                "links": sum(part.shape[1] for part in self.data.links.values()),
                "training_links": self.data.train.shape[1],
                "valid_links": task.valid.positive.shape[1],
                "test_links": self.data.test.positive.shape[1],
                "valid_negatives": task.valid.negative[0].numel(),
                "test_negatives": self.data.test.negative[0].numel(),
                "undirected_edges": task.train_graph.num_entries // 2,
                "parameters": sum(p.numel() for p in self.training.model.parameters()),
            },
        }


@dataclass(frozen=True, eq=False)
class _Loaded:
    """Data shared by the processes of a machine."""

    data: LinkData
    audit: Audit
    features: Tensor | SparseRows
    num_features: int
    num_categories: int | None
    graphs: Graphs


_SHARED = (_Loaded, LinkData, EvaluationSplit, Audit, SparseRows, Graph)


def assemble(config: RunConfig, folder: Path, ranks: Ranks) -> Parts:
    """Build the parts of the run in `folder`, in one of its processes.

    Raises:
        RunnerError: if the data is missing, damaged or leaks, or a part cannot be built.
    """
    machine, train = config.hardware, config.train
    device = hardware.set_up(
        device=machine.device,
        threads=machine.threads,
        deterministic=machine.deterministic,
        keep_freed_memory=machine.keep_freed_memory,
        compile=machine.compile,
        place=(ranks.local_rank, ranks.local_size),
    )
    values = flat({"train": {"precision": train.precision}, "model": config.model}, ".")
    precisions = {key: value for key, value in values.items() if key.endswith(".precision")}
    hardware.warn_of_emulated(precisions, device)
    hardware.reset_peak_memory(device)
    objective = build_objective(config)
    evaluator: Evaluator = build("evaluator", config.evaluator)
    check_asked(config, objective, evaluator)
    loaded = ranks.once_a_host(lambda: _load(config, folder), _SHARED)
    data = loaded.data
    ranks.agree(data.fingerprint, "data")
    judged, learned = judged_splits(data, objective.validation_share, config.seeds.split)
    evaluator.prepare(judged)
    targets = data.train if learned is None else learned.positive
    if learned is not None:
        left = judged["valid"]
        log.info(
            "%d of %d validation links are learned from; figures of validation are of the other %d "
            "and %d negatives, and do not compare with those of other runs",
            *(learned.positive.shape[1], data.valid.positive.shape[1], left.positive.shape[1]),
            left.negative[0].numel(),
        )

    model = build_model(
        config,
        num_features=loaded.num_features,
        num_categories=loaded.num_categories,
        num_nodes=data.num_nodes,
        training=(loaded.graphs[0 if learned is None else 1], targets),
    )
    warm_start.freeze(model, config, folder)
    check_parts(config, model, objective, evaluator)
    check_fit(config.run.model, model, data, loaded.num_categories, loaded.features)
    objective.check(model, data)
    check_processes(model, ranks)
    scratch = _place_embeddings(model, config)
    model = model.to(device)
    features = torch.device("cpu") if machine.features == "host" else device
    task = _move_to_device(loaded, judged, device, features)
    if learned is not None:
        task = replace(task, train_graph=task.valid_graph)  # on which they are scored
    if model.reweighting is not None:
        for graph in (task.valid_graph, task.test_graph):
            model.reweighting.weights(graph)  # refuses one that has other links
    task = structures.with_structures(task, model.predictor, config, ranks)
    objective.prepared = move(objective.prepare(task.train_inputs), device)
    objective.learned.to(device)
    seeds = config.seeds
    generators = Generators(batches=seeds.batches, negatives=seeds.negatives, dropout=seeds.dropout)
    sampler: LinkSampler = build(
        "sampler",
        config.sampler,
        graph=task.train_graph,
        targets=targets.to(device),
        negatives=build_negatives(config, data, learned),
        generators=generators,
    )
    encoding: Encoding = build("encoding", config.encoding)
    if train.epochs > 0:
        encoding.prepare(model, task.train_graph, targets, sampler.batch_size)
    optimizer, schedule = build_optimiser(model, objective.learned, train, scratch)
    return Parts(
        config=config,
        device=device,
        data=data,
        audit=loaded.audit,
        training=Training(
            model=model,
            task=task,
            objective=objective,
            sampler=sampler,
            encoding=encoding,
            evaluator=evaluator,
            generators=generators,
            optimizer=optimizer,
            schedule=schedule,
            settings=train,
        ),
    )


def build_negatives(
    config: RunConfig, data: LinkData, learned: EvaluationSplit | None
) -> NegativeSampler:
    """What draws the negatives of training, as the data need it.

    Args:
        learned: links of validation that are learned from; None for those of training.
    """
    negatives: NegativeSampler = build("negatives", config.negatives)
    if isinstance(negatives, ValidationNegatives):
        assert learned is not None, "such negatives go with their links"
        negatives.given = learned.negative
        return negatives
    negatives.num_sources = data.num_sources
    if not len(data.new_nodes):
        return negatives
    there = torch.ones(data.num_nodes, dtype=torch.bool).index_fill_(0, data.new_nodes, False)
    return AmongNodes(negatives, there.nonzero().squeeze(1))


def _place_embeddings(model: LinkModel, config: RunConfig) -> Path | None:
    """Keep learned embeddings off the device if the config asks for it.

    Returns:
        The folder of the embeddings and their moments if they are on disk.
    """
    place = config.hardware.embeddings
    folder = Path(config.run.cache) / "scratch" if place == "disk" else None
    learned = node_embeddings(model)
    if not learned and (place != "device" or config.encoder.get("sparse_embedding")):
        log.info("the encoder has no learned embeddings: keys about them have no effect")
    for embedding in learned if place != "device" else ():
        if folder and not embedding.sparse:
            raise RunnerError(
                "hardware.embeddings=disk: every step would read and write all of them; start "
                "the run with encoder.sparse_embedding=true, or use hardware.embeddings=host"
            )
        embedding.stay(on_disk(embedding.weight.data, folder) if folder else None)
    return folder


def _load(config: RunConfig, folder: Path) -> _Loaded:
    data = load_data(config)
    if not config.train.all_links:
        remember(config.dataset.source, config.run.cache, data)
    for note in (*data.notes, in_words(data)):
        log.info("%s: %s", config.run.dataset, note)
    refuse_other_data(data, folder, at=f"resume={folder}", remedy="start a new run")
    checked = check_split(config, data)
    validation_edges = config.protocol.validation_edges_in_test_graph
    graphs = build_graphs(data, validation_edges=validation_edges)
    features, num_categories = warm_start.input_features(folder, config, data, graphs[0])
    return _Loaded(
        data=data,
        audit=checked,
        features=compact(features),
        num_features=features.shape[-1],
        num_categories=num_categories,
        graphs=graphs,
    )


def _move_to_device(
    loaded: _Loaded,
    judged: Mapping[str, EvaluationSplit],
    device: torch.device,
    features: torch.device,
) -> Task:
    return Task(
        loaded.features.to(features),
        *move_graphs(loaded.graphs, device),
        valid=judged["valid"].to(device),
        test=judged["test"].to(device),
    )
