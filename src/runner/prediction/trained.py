"""A trained run, opened: its data, and its model with the weights of the best epoch."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runner.config.facts import effect_of
from runner.config.schema import RunConfig
from runner.config.shipped import compose_shipped
from runner.config.targets import refuse_foreign
from runner.config.validate import absolute
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.experiment import warm_start
from runner.experiment.build import build_model, load_data
from runner.experiment.graphs import Graphs, build_graphs
from runner.experiment.resume_overrides import apply, parse, with_resumes
from runner.experiment.same_data import refuse_other_data
from runner.keys import Effect
from runner.models.link_model import LinkModel
from runner.models.predictor import NoPredictor
from runner.ops.sparse_rows import SparseRows, compact
from runner.records import checkpoint, shared_model
from runner.records.folder import RunFolder
from runner.storage.seal import seal_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Trained:
    """What a finished run has learned, on its device, in evaluation mode.

    Attributes:
        config: of the run, with the overrides of its resumes.
        graphs: of training, validation and the test, on the CPU.
        features: of the encoder, (N, F) floating point or (N,) int64.
        epoch: of the weights.
        digest: SHA-256 of their checkpoint.
    """

    folder: RunFolder
    config: RunConfig
    data: LinkData
    graphs: Graphs
    features: Tensor | SparseRows
    model: LinkModel
    device: torch.device
    epoch: int
    digest: str


def open_trained(
    path: Path,
    *,
    device: str = "auto",
    trusted: Collection[str] = (),
    overrides: Sequence[str] = (),
) -> Trained:
    """Read a run folder, its data, and the weights of its best epoch.

    Args:
        device: "cpu", "cuda", "mps", or "auto": a GPU where there is one.
        trusted: classes and functions, by dotted path, that the saved config may name.
        overrides: where the data lies now, as a resume takes them.

    Raises:
        RunnerError: if it is no run, has no weights, or its data has changed.
    """
    folder = RunFolder.reopen(path, called="")
    where = str(folder.path)
    _refuse_what_is_no_place(overrides)
    saved = with_resumes(folder.config(), folder.meta())
    if (folder.path / shared_model.WEIGHTS).is_file():
        _use_cache_of_this_machine(saved)
    refuse_foreign(saved, trusted=trusted, where=where)
    config = RunConfig.read(apply(saved, overrides))
    digest, content = _read_weights(folder)
    try:
        data = load_data(config)
    except RunnerError as error:
        raise RunnerError(
            f"{error}; this run needs its dataset: where it has moved, say dataset.path=… or "
            "dataset.root=…"
        ) from None
    refuse_other_data(data, folder.path, at=where, remedy="train a new run on this one")
    if content["fingerprint"] != data.fingerprint:
        raise RunnerError(f"{where}: the dataset is split otherwise than in this run; train anew")
    graphs = build_graphs(data, validation_edges=config.protocol.validation_edges_in_test_graph)
    features, num_categories = warm_start.input_features(folder.path, config, data, graphs[0])
    model = build_model(
        config,
        num_features=features.shape[-1],
        num_categories=num_categories,
        num_nodes=data.num_nodes,
    )
    if isinstance(model.predictor, NoPredictor):
        raise RunnerError(f"{where}: a run without a predictor (model=none) scores no pairs")
    if model.predictor.normalises_pairs:
        log.warning(
            "%s: this model normalises pairs that are scored together: a score depends on the "
            "pairs beside it, train.eval_batch_size=%s at a time",
            *(where, config.train.eval_batch_size),
        )
    model.load_state_dict(content["model"])
    place = _device(device)
    return Trained(
        folder=folder,
        config=config,
        data=data,
        graphs=graphs,
        features=compact(features),
        model=model.to(place).eval(),
        device=place,
        epoch=content["state"]["best"]["epoch"],
        digest=digest,
    )


def _refuse_what_is_no_place(overrides: Sequence[str]) -> None:
    if isinstance(overrides, str):
        raise RunnerError(f"overrides={overrides}: give a list, as [{overrides!r}]")
    for line in overrides:
        if effect_of(parse(line)[0], {}) not in (Effect.PLACE, Effect.SOURCE):
            raise RunnerError(
                f"{line}: a trained run stays as it is; say here only where its data lies, as in "
                "dataset.path=… or dataset.root=…"
            )


def _use_cache_of_this_machine(config: dict[str, Any]) -> None:
    cache = absolute(compose_shipped([]).run.cache)
    for section in (config["run"], config["dataset"]["source"]):
        if "cache" in section:
            section["cache"] = cache


def _read_weights(folder: RunFolder) -> tuple[str, Mapping[str, Any]]:
    shared, best = folder.path / shared_model.WEIGHTS, folder.checkpoints / "best.pt"
    if shared.is_file():
        return shared_model.read_weights(shared)
    if not best.is_file():
        raise RunnerError(
            f"{folder.path}: no weights here ({best.name} is missing); this run has evaluated no "
            f"epoch, or its checkpoints were removed: runner resume={folder.path}"
        )
    # The digest first: of a run that is under way, it may be that of an earlier epoch, never later.
    return seal_of(best), checkpoint.read(best)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise RunnerError(f"device={name}: torch has no such device here ({reason})") from None
