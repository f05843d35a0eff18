"""The typed schema of every group of `conf/`, without importing torch.

A node with a `_target_` listed in `NODES` is checked against its model here, any other `_target_`
against its real signature (`runner.config.validate`); a test holds both to be the same.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

Probability = Annotated[float, Field(ge=0, lt=1)]
PositiveInt = Annotated[int, Field(gt=0, lt=2**31)]
Width = Annotated[int, Field(gt=0, le=65_536)]
Positive = Annotated[float, Field(gt=0)]
LearningRate = Annotated[float, Field(ge=0, le=1e30)]  # beyond, a step is no float32
Seconds = Annotated[float, Field(gt=0, le=1e9)]  # a timer knows no longer time
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Text = Annotated[str, Field(min_length=1)]
Overlap = Literal[
    "valid_in_train", "test_in_train", "test_in_valid", "self_loops",
    "valid_negative_in_train", "valid_negative_in_valid", "valid_negative_in_test",
    "test_negative_in_train", "test_negative_in_valid", "test_negative_in_test",
]  # fmt: skip


def _metric(value: str) -> str:
    if not re.fullmatch(r"mrr|hits@[1-9]\d*", value):
        raise ValueError("use mrr or hits@K, as hits@50")
    return value


def _has_target(value: dict[str, Any]) -> dict[str, Any]:
    if "_target_" not in value:
        raise ValueError("it has no _target_, which says what to build")
    return value


def _name(value: str) -> str:
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise ValueError("it is a part of the run folder's name; give words")
    return value


Metrics = Annotated[list[Annotated[str, AfterValidator(_metric)]], Field(min_length=1)]
# Checked on its own, by its `_target_`.
Node = Annotated[dict[str, Any], AfterValidator(_has_target)]


def _prior(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, dict) and not (number and 0 < value < math.inf):
        raise ValueError("give a number above 0, or a node that learns it")
    return value


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Seeds(Strict):
    split: Seed
    initialisation: Seed
    batches: Seed
    negatives: Seed
    dropout: Seed
    completion: Seed


class Run(Strict):
    dry: bool
    model: Annotated[str, AfterValidator(_name)]
    dataset: Annotated[str, AfterValidator(_name)]
    cache: Text


class Hardware(Strict):
    device: Literal["auto", "cpu", "cuda", "mps"]
    threads: Annotated[int, Field(gt=0, le=4096)] | None
    deterministic: bool
    keep_freed_memory: bool = True  # came later: runs from before have none
    profile: bool = False  # came later, and the following
    compile: bool = False
    processes: Annotated[int, Field(gt=0, le=1024)] | Literal["auto"] = 1
    features: Literal["device", "host"] = "device"
    embeddings: Literal["device", "host", "disk"] = "device"


class Train(Strict):
    epochs: Annotated[int, Field(ge=0)]
    batch_size: PositiveInt | None
    eval_batch_size: PositiveInt
    lr_encoder: LearningRate
    lr_predictor: LearningRate
    clip_norm: Positive | None
    checkpoint_minutes: Positive
    checkpoint_steps: PositiveInt | None = None  # came later, and the following
    keep_checkpoints: Annotated[int, Field(gt=0, le=1000)] = 2
    grace_seconds: Seconds = 25
    not_finite: Literal["stop", "skip"] = "stop"
    precision: Literal["float32", "bfloat16"] = "float32"
    init_from: Text | None
    init_mode: Literal["weights", "embeddings"]


class Protocol(Strict):
    metrics: Metrics | None
    select: str | None
    validation_edges_in_test_graph: bool
    official_split: bool
    permitted_overlaps: list[Overlap]


class PublishedFigure(Strict):
    metric: str
    mean: float
    std: float | None


class Encoder(Strict):
    convolution: Node
    hidden: Width
    layers: Annotated[int, Field(ge=0, le=1000)]
    residual: bool
    jumping_knowledge: bool
    layer_norm: bool
    input_dropout: Probability
    hidden_dropout: Probability
    output_dropout: Probability
    edge_dropout: Probability
    sparse_embedding: bool = False  # came later


class GetClass(Strict):
    path: Text


class GAE(Strict):
    hidden: Width
    dropout: Probability
    last_linear: bool
    two_layer_head: bool
    layer_norm: bool


class GAECN(GAE):
    edge_dropout: Probability
    beta: float


class NCN(GAECN):
    node_transform: bool


class NCNC(NCN):
    completion: Node
    depth: Annotated[int, Field(gt=0, le=10)]


class Completion(Strict):
    t: Annotated[Any, AfterValidator(_prior)]
    s: float
    o: float
    alpha: Annotated[float, Field(ge=0)]
    chunk_size: PositiveInt | None
    memory_gib: Positive | None = None  # came later
    keep_train: PositiveInt | None
    keep_eval: PositiveInt | None
    replacement: bool
    dropout: bool = True  # came later
    precision: Literal["bfloat16"] | None = None  # came later
    seed: Seed


def _part_of(model: type[BaseModel], names: tuple[str, ...], **others: Any) -> Any:
    """A model with these fields of another, none of them needed, and some more."""
    kept: dict[str, Any] = {
        name: (model.model_fields[name].annotation | None, None)  # type: ignore[operator]
        for name in names
    }
    return create_model(f"{model.__name__}Column", __base__=Strict, **(kept | others))


# What conf/ asks a column for, by section; no other key would have an effect.
TUNABLE = {
    "encoder": (
        "convolution", "hidden", "layers", "residual", "jumping_knowledge", "input_dropout",
        "hidden_dropout", "output_dropout", "edge_dropout",
    ),
    "model": ("dropout", "edge_dropout", "node_transform", "last_linear", "two_layer_head"),
    "completion": (
        "t", "s", "o", "alpha", "chunk_size", "keep_train", "keep_eval", "replacement",
    ),
    "train": (
        "epochs", "batch_size", "eval_batch_size", "lr_encoder", "lr_predictor", "clip_norm",
        "init_mode",
    ),
}  # fmt: skip


class Column(Strict):
    """A published column: any part of the tunable values."""

    encoder: _part_of(Encoder, TUNABLE["encoder"][1:], convolution=(str, None)) = {}  # type: ignore[valid-type]
    model: _part_of(NCN, TUNABLE["model"]) = {}  # type: ignore[valid-type]
    completion: _part_of(Completion, TUNABLE["completion"][1:], t=(float, None)) = {}  # type: ignore[valid-type]
    sampler: str | None = None
    train: _part_of(Train, TUNABLE["train"]) = {}  # type: ignore[valid-type]


class Dataset(Strict):
    name: Text
    root: Text | None = None
    path: Text | None = None
    features: Text | None = None
    num_nodes: PositiveInt | None = None
    source: Node
    protocol: Protocol
    negatives: Node
    tuned: Column
    tuned_for_completion: Column
    tuned_for_warm_start: Column
    warm_start_model: str | None
    published: dict[str, PublishedFigure | None]


# What runs did before there was a choice.
FULL_ENCODING = {"_target_": "runner.training.encoding.FullEncoding"}


class Root(Strict):
    seed: Seed
    seeds: Seeds
    hyperparameters: Literal["published", "default"]
    run: Run
    hardware: Hardware
    train: Train
    evaluator: Node
    sampler: Node
    encoding: Node = FULL_ENCODING  # came later
    tracker: Node
    encoder: Node
    model: Node
    dataset: Dataset


class Search(Strict):
    trials: PositiveInt
    sampler: Node
    pruner: Node | None
    storage: Text | None
    study: Text | None


class Sweeper(Strict):
    params: dict[str, Any]
    paired: list[Annotated[list[str], Field(min_length=2)]]
    retries: Annotated[int, Field(ge=0, le=1000)]
    extend: bool
    resume: bool
    parallel: PositiveInt | None
    search: Search | None


class LearnedPrior(Strict):
    hidden: Width


class PersonalisedPageRank(Strict):
    damping: Annotated[float, Field(gt=0, lt=1)]
    iterations: PositiveInt
    starts_at_a_time: PositiveInt


class Katz(Strict):
    beta: Annotated[float, Field(gt=0, le=1)]
    max_length: PositiveInt
    starts_at_a_time: PositiveInt


class ShortestPath(Strict):
    max_length: PositiveInt
    starts_at_a_time: PositiveInt


class Sampler(Strict):
    batch_size: PositiveInt | None


def _fan_outs(value: Any) -> Any:
    numbers = value if isinstance(value, list) and value else [value]
    if value is not None and not all(type(x) is int and 0 < x < 2**31 for x in numbers):
        raise ValueError("give a number above 0, a list of them, or null")
    return value


class LocalEncoding(Strict):
    fan_outs: Annotated[Any, AfterValidator(_fan_outs)]


class RankingEvaluator(Strict):
    metrics: Metrics | None
    select: str | None
    batch_size: PositiveInt


class WandbTracker(Strict):
    project: str
    entity: str | None
    mode: Literal["auto", "online", "offline"]
    init_timeout: Seconds
    finish_timeout: Seconds
    media: bool = True  # came later


class Empty(Strict):
    pass


class RandomSplit(Strict):
    valid: Annotated[float, Field(gt=0, lt=1)]
    test: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
    valid_negatives: Annotated[float, Field(gt=0, le=1e6)]
    test_negatives: Annotated[float, Field(gt=0, le=1e6)]


class Coauthorship(Strict):
    num_nodes: PositiveInt
    num_edges: PositiveInt
    num_topics: PositiveInt
    num_features: PositiveInt
    noise: Annotated[float, Field(ge=0, le=1e6)]
    seed: Seed
    split: Node


class LesMiserables(Strict):
    split: Node


class Planetoid(Strict):
    name: Literal["Cora", "CiteSeer", "PubMed"]
    root: Text
    split: Node


class OGBLink(Strict):
    name: str
    root: Text
    cache: Text
    features: Literal["stored", "argmax", "node_id"]


class EdgeFile(Strict):
    path: Text
    features: Text | None
    num_nodes: PositiveInt | None
    split: Node


NODES: dict[str, type[Strict]] = {
    "runner.models.encoder.Encoder": Encoder,
    "runner.models.encoder.NoEncoder": Empty,
    "hydra.utils.get_class": GetClass,
    "runner.models.gae.GAE": GAE,
    "runner.models.gae_cn.GAECN": GAECN,
    "runner.models.ncn.NCN": NCN,
    "runner.models.ncn_diff.NCNDiff": NCN,
    "runner.models.ncn2.NCN2": NCN,
    "runner.models.ncnc.NCNC": NCNC,
    "runner.models.completion.Completion": Completion,
    "runner.models.completion.LearnedPrior": LearnedPrior,
    "runner.models.heuristics.CommonNeighbours": Empty,
    "runner.models.heuristics.AdamicAdar": Empty,
    "runner.models.heuristics.ResourceAllocation": Empty,
    "runner.models.heuristics.PersonalisedPageRank": PersonalisedPageRank,
    "runner.models.heuristics.Katz": Katz,
    "runner.models.heuristics.ShortestPath": ShortestPath,
    "runner.training.samplers.TargetLinkRemoval": Sampler,
    "runner.training.samplers.FullGraph": Sampler,
    "runner.training.encoding.FullEncoding": Empty,
    "runner.training.encoding.LocalEncoding": LocalEncoding,
    "runner.training.evaluator.RankingEvaluator": RankingEvaluator,
    "runner.tracking.wandb.WandbTracker": WandbTracker,
    "runner.tracking.tracker.NullTracker": Empty,
    "runner.training.negatives.UniformNonEdges": Empty,
    "runner.training.negatives.RandomTargets": Empty,
    "runner.data.splits.RandomSplit": RandomSplit,
    "runner.data.synthetic.coauthorship": Coauthorship,
    "runner.data.bundled.les_miserables": LesMiserables,
    "runner.data.planetoid.planetoid": Planetoid,
    "runner.data.ogb.ogb_link": OGBLink,
    "runner.data.edges.edge_file": EdgeFile,
}

# Arguments that only a run knows, given when the node is built.
GIVEN_AT_BUILD: dict[str, frozenset[str]] = {
    "encoder": frozenset({"num_features", "num_categories"}),
    "sampler": frozenset({"graph", "targets", "negatives", "generators"}),
}
