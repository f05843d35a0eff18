"""The sections of a run's config, a class each, with the facts of every key.

A fact stands here once: a key's type and range, what it changes (:class:`runner.keys.Effect`), and,
of a key that came later, what stands for runs from before (:class:`runner.keys.Before`). The nodes
that a `_target_` builds are described by their constructors (`runner.config.signatures`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from runner.config import metric_names
from runner.errors import RunnerError
from runner.keys import (
    NO_COLUMNS,
    AtATime,
    Before,
    Bins,
    Effect,
    LearningRate,
    NotNegative,
    Positive,
    PositiveInt,
    RunSeed,
    Seconds,
    Text,
)

Overlap = Literal[
    "valid_in_train", "test_in_train", "test_in_valid", "self_loops",
    "valid_negative_in_train", "valid_negative_in_valid", "valid_negative_in_test",
    "test_negative_in_train", "test_negative_in_valid", "test_negative_in_test",
    "valid_in_valid_support", "test_in_valid_support", "test_in_test_support",
    "valid_negative_in_valid_support", "valid_negative_in_test_support",
    "test_negative_in_valid_support", "test_negative_in_test_support",
]  # fmt: skip


def _metric(value: Any) -> Any:
    named = isinstance(value, str) and metric_names.is_name(value)
    if not named and not (isinstance(value, dict) and "_target_" in value):
        raise ValueError(f"use {metric_names.IN_WORDS}, or a node with a _target_")
    return value


def _has_target(value: dict[str, Any]) -> dict[str, Any]:
    if "_target_" not in value:
        raise ValueError("it has no _target_, which says what to build")
    return value


def _name(value: str) -> str:
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise ValueError("it is a part of the run folder's name; give words")
    return value


def _word(value: str) -> str:
    if "/" in value:
        raise ValueError("it is one word of the run folder's name; write it without /")
    return value


Metrics = Annotated[list[Annotated[Any, AfterValidator(_metric)]], MinLen(1)]
# Checked on its own, by its `_target_`.
Node = Annotated[dict[str, Any], AfterValidator(_has_target)]
Name = Annotated[str, AfterValidator(_name), Effect.LABEL]


class Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )


class Seeds(Section):
    """A seed for each source of chance; further ones are those of components."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, RunSeed]

    split: RunSeed
    initialisation: RunSeed
    batches: RunSeed
    negatives: RunSeed
    dropout: RunSeed


class Run(Section):
    dry: Annotated[bool, Effect.LABEL]
    model: Name
    dataset: Name
    protocol: Annotated[str, Effect.LABEL, Before("")]
    cache: Annotated[Text, Effect.PLACE]
    node_report: Annotated[bool, Effect.SAVING, Before(False)]
    audits: Annotated[bool, Effect.SAVING, Before(True)]
    keep_scores: Annotated[bool, Effect.SAVING, Before(False)]
    keep_embeddings: Annotated[bool, Effect.SAVING, Before(False)]


class Hardware(Section):
    device: Literal["auto", "cpu", "cuda", "mps"]
    threads: Annotated[int, Gt(0), Le(4096)] | None
    deterministic: bool
    keep_freed_memory: Annotated[bool, Before(True)]
    compile: Annotated[bool, Before(False)]
    profile: Annotated[bool, Before(False)]
    processes: Annotated[Annotated[int, Gt(0), Le(1024)] | Literal["auto"], Before(1)]
    features: Annotated[Literal["device", "host"], Before("device")]
    embeddings: Annotated[Literal["device", "host", "disk"], Before("device")]


class Train(Section):
    epochs: Annotated[int, Ge(0), Effect.LENGTH]
    all_links: Annotated[bool, Before(False)]
    batch_size: PositiveInt | None
    eval_batch_size: AtATime
    lr_encoder: LearningRate
    lr_predictor: LearningRate
    weight_decay: Annotated[NotNegative, Before(0.0)]
    optimizer: Annotated[Node, Before({"_target_": "torch.optim.Adam"})]
    schedule: Annotated[Node | None, Before(None)]
    reweight: Annotated[Node | None, Before(None)]
    patience: Annotated[PositiveInt | None, Before(None)]
    evaluate_every: Annotated[PositiveInt, Before(1)]
    # A resume keeps what it began from; repeats have begun in the same mode, not from the same run.
    init_from: Annotated[Text | None, Effect.LABEL]
    init_mode: Literal["weights", "embeddings", "encoder"]
    clip_norm: Positive | None
    checkpoint_minutes: Annotated[Positive, Effect.SAVING]
    checkpoint_steps: Annotated[PositiveInt | None, Effect.SAVING, Before(None)]
    keep_checkpoints: Annotated[int, Gt(0), Le(1000), Effect.SAVING, Before(2)]
    grace_seconds: Annotated[Seconds, Effect.SAVING, Before(25)]
    precision: Annotated[Literal["float32", "bfloat16"], Before("float32")]
    not_finite: Annotated[Literal["stop", "skip"], Before("stop")]


class Figure(Section):
    """In percent; unverified: remembered, and not read again in its source."""

    metric: str
    mean: float
    std: float | None
    unverified: bool = False


class PublishedFigure(Figure):
    """That of the metric which chooses the epoch, and those of other metrics."""

    also: list[Figure] = []


class PublishedData(Section):
    """What is known of the data behind the published figures; None where it is not known."""

    nodes: PositiveInt | None = None
    links: PositiveInt | None = None
    training_links: PositiveInt | None = None
    valid_links: PositiveInt | None = None
    test_links: PositiveInt | None = None
    valid_negatives: PositiveInt | None = None
    test_negatives: PositiveInt | None = None
    graph: Text | None = None  # fingerprints, as in meta.json
    features: Text | None = None


@cache
def asked() -> frozenset[str]:
    """The keys that `conf/` asks a published column for; no other would have an effect."""
    found: set[str] = set()
    folders = [files("runner.conf")]
    while folders:
        for entry in folders.pop().iterdir():
            if entry.is_dir():
                folders.append(entry)
            elif entry.name.endswith(".yaml"):
                found.update(re.findall(r"\$\{tuned:([\w.]+),", entry.read_text()))
    return frozenset(found)


Column = dict[str, Any]  # its keys are checked with the rest of the config


class Columns(Section):
    """The columns of an edge table, by name or by number from 0; None is found out."""

    source: Text | int | None = None
    target: Text | int | None = None
    weight: Text | int | None = None
    time: Text | int | None = None


class Dataset(Section):
    name: Annotated[Name, AfterValidator(_word)]
    own: Annotated[Literal[True] | None, Effect.LABEL, Before(None)] = None
    root: Annotated[Text | None, Effect.PLACE] = None
    path: Annotated[Text | None, Effect.SOURCE] = None
    features: Annotated[Text | None, Effect.SOURCE] = None
    nodes: Annotated[Text | None, Effect.SOURCE, Before(None)] = None
    bins: Annotated[Bins | None, Before(None)] = None
    num_nodes: PositiveInt | None = None
    columns: Annotated[Columns | None, Before(NO_COLUMNS)] = None
    header: Annotated[bool | None, Before(None)] = None
    separator: Annotated[Text | None, Before(None)] = None
    encoding: Annotated[Text | None, Before(None)] = None
    key: Annotated[Text | None, Before(None)] = None
    directed: Annotated[bool | None, Before(None)] = None
    bipartite: Annotated[bool | None, Before(None)] = None
    valid: Annotated[Text | None, Effect.SOURCE, Before(None)] = None
    test: Annotated[Text | None, Effect.SOURCE, Before(None)] = None
    valid_negatives: Annotated[Text | None, Effect.SOURCE, Before(None)] = None
    test_negatives: Annotated[Text | None, Effect.SOURCE, Before(None)] = None
    source: Node


class Protocol(Section):
    """How one is judged, and what was published under it."""

    metrics: Annotated[Metrics | None, Effect.EQUAL]
    select: str | None
    split: Node | None
    negatives: Annotated[Node | None, Before(None)]
    largest_component: Annotated[bool, Before(False)]
    normalise_features: Annotated[bool, Before(False)]
    validation_edges_in_test_graph: bool
    official_split: bool
    permitted_overlaps: list[Overlap]
    tuned: Column
    tuned_for: dict[str, Column]
    warm_start_model: str | None
    published: Annotated[dict[str, PublishedFigure | None], Effect.LABEL]
    published_data: Annotated[PublishedData | None, Effect.LABEL, Before(None)]


# What runs did before there was a choice.
FULL_ENCODING = {"_target_": "runner.training.encoding.FullEncoding"}
LINK_PREDICTION = {"_target_": "runner.training.objective.LinkPrediction"}


class RunConfig(Section):
    """A whole run."""

    seed: RunSeed
    seeds: Annotated[Seeds, Effect.SEED]
    hyperparameters: Literal["published", "default"]
    run: Annotated[Run, Effect.LABEL]
    hardware: Annotated[Hardware, Effect.MACHINE]
    train: Train
    evaluator: Node
    objective: Annotated[Node, Before(LINK_PREDICTION)]
    negatives: Node
    sampler: Node
    encoding: Annotated[Node, Before(FULL_ENCODING)]
    tracker: Annotated[Node, Effect.MACHINE]
    encoder: Node
    model: Node
    protocol: Protocol
    dataset: Dataset

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> RunConfig:
        """The typed sections of a resolved and checked config.

        Raises:
            RunnerError: if a key does not fit, as in a run of another version.
        """
        try:
            return cls.model_validate(dict(config))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise RunnerError(
                f"{key}: {first['msg']}; this config is of another version, run it anew"
            ) from None


class Search(Section):
    trials: PositiveInt
    sampler: Node
    pruner: Node | None
    storage: Text | None
    study: Text | None


class Sweeper(Section):
    params: dict[str, Any]
    paired: list[Annotated[list[str], MinLen(2)]]
    retries: Annotated[int, Ge(0), Le(1000)]
    extend: bool
    resume: bool
    parallel: PositiveInt | None
    search: Search | None
