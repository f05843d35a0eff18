"""`train.init_from=<run folder>`: start from weights, embeddings or the encoder of another run.

The required files of that run are copied to `init/` in the new run's folder, so that a resume does
not depend on a folder that may change or vanish.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runner.config.published import column_of
from runner.config.reports import FAILURES
from runner.config.schema import RunConfig
from runner.config.signatures import constant
from runner.config.targets import foreign_targets, refuse_foreign
from runner.data.all_links import fingerprint_with_all_links
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.experiment.build import build_model
from runner.models.link_model import LinkModel
from runner.ops.csr import Graph
from runner.records import checkpoint
from runner.records.folder import RunFolder
from runner.records.summary import read_summary
from runner.storage.workshop import sync

log = logging.getLogger(__name__)

# The keys that define the meaning of an encoder's weights.
_ENCODER_KEYS = (
    "_target_", "convolution", "hidden", "layers", "residual", "jumping_knowledge", "layer_norm",
    "activate_single", "augment", "augment_sets", "augment_join", "unit_length",
)  # fmt: skip
# With the encoder's weights alone all do but these, which change nothing but training.
_OF_TRAINING = ("dropout", "sparse_embedding")
_FILES = ("config.yaml", "meta.json", "checkpoints/best.pt")


def take(config: RunConfig, folder: RunFolder) -> dict[str, Any] | None:
    """Copy the start of a new run into its folder; return facts for meta.json, or None.

    `train.init_from=auto` is the newest finished run of the dataset's `warm_start_model` with the
    same seed beside the new run, and nothing if the dataset's published column has no warm start
    for this model.

    Raises:
        RunnerError: if there is no such run, or it lacks a file.
    """
    if config.train.init_from is None:
        return None
    known = folder.meta().get("init_from")
    if known and all((folder.path / "init" / name).is_file() for name in _FILES):
        return known  # copied by a start that was stopped before its first checkpoint
    source = _find_source(config, folder)
    if source is None:
        return None
    missing = [name for name in _FILES if not (source / name).is_file()]
    if missing:
        raise RunnerError(
            f"train.init_from={source}: no run that can be begun from "
            f"({', '.join(missing)} missing); give the folder of a run that has evaluated an epoch"
        )
    target = folder.path / "init"
    shutil.rmtree(target, ignore_errors=True)  # from a start that was killed during the copy
    for name in _FILES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, target / name)
    if (source / "init").is_dir():
        shutil.copytree(source / "init", target / "init")
    sync(target)
    log.info("begins from %s", source)
    meta = RunFolder(target).meta()
    mode = config.train.init_mode
    objective = str(RunFolder(target).config()["objective"]["_target_"])
    taken = {"folder": str(source), "run_id": meta.get("run_id"), "mode": mode}
    if mode == "encoder" or constant(objective, "scores_pairs") is False:
        # Encoders of several pretrainings make several experiments; other starts made one before.
        taken["experiment"] = str(meta["experiment"]).rpartition("-")[2]
        taken["objective"] = objective.rpartition(".")[2]
    folder.write_meta({**folder.meta(), "init_from": taken})
    return taken


def begin_encoder(model: LinkModel, config: RunConfig, folder: Path, data: LinkData) -> None:
    """Give the encoder of a new run what it takes of a finished one (`Encoder.start`).

    Raises:
        RunnerError: if that run is unfinished, was on other data, on another split or on other
            features, or has failed its audit.
    """
    start = model.encoder.start
    if start is None:
        return
    key, source = start
    where = f"{key}={source}"
    missing = [name for name in (*_FILES, "summary.json") if not (source / name).is_file()]
    if missing:
        raise RunnerError(
            f"{where}: no finished run ({', '.join(missing)} missing); give the folder of one"
        )
    audited = read_summary(source).get("audits", {}).get("knowledge", {})
    if audited.get("passed") is False:
        raise RunnerError(
            f"{where}: that run has failed its audit of knowledge: {FAILURES['knowledge']} "
            "(docs/audits.md); learn it anew, on the training graph alone"
        )
    began_from = read_source_config(source, config)
    for run, own in ((folder, config), (source, began_from)):
        if _uses_start(run, own, "embeddings"):
            raise RunnerError(
                f"{where}: with train.init_mode=embeddings that run and this one have other "
                "features than the graph; leave one of the two out"
            )
    other = build_model(
        began_from,
        num_features=data.features.shape[-1],
        num_categories=data.num_categories,
        num_nodes=data.num_nodes,
    )
    other.load_state_dict(_load_weights(source, data, key=key))
    model.encoder.begin(other.encoder)


def _find_source(config: RunConfig, folder: RunFolder) -> Path | None:
    given = str(config.train.init_from)
    if given != "auto":
        return Path(given)
    other = config.protocol.warm_start_model
    if column_of(config.model["_target_"]) is None or other is None:
        return None
    beside = folder.path.parents[1] / other
    finished = [path.parent for path in beside.glob("*/summary.json") if _is_repeat(path, config)]
    if not finished:
        raise RunnerError(
            f"train.init_from=auto: no finished run of {other} with "
            f"seed={config.seed} in {beside}; run it first, or give train.init_from=<run folder>"
        )
    return max(finished, key=lambda path: (path / "summary.json").stat().st_mtime)


def _is_repeat(summary: Path, config: RunConfig) -> bool:
    """Whether the run of a summary is finished and had the same protocol and seeds.

    So it had the same split. Runs from before protocols had names had the one of their dataset.
    """
    try:
        status = json.loads((summary.parent / "status.json").read_text())["status"]
        meta = json.loads((summary.parent / "meta.json").read_text())
        seeds, is_refit = meta["seeds"], "refit_of" in meta  # one has seen all links
        protocol = RunFolder(summary.parent).config()["run"]["protocol"]
    except (OSError, ValueError, KeyError, TypeError, RunnerError):
        return False
    same = protocol in ("", config.run.protocol) and seeds == config.seeds.model_dump()
    return status == "done" and not is_refit and same


def _uses_start(folder: Path, config: RunConfig, mode: str) -> bool:
    """Whether the run in `folder`, with this config, starts from another run in this mode."""
    return (folder / "init").is_dir() and config.train.init_mode == mode


def input_features(
    folder: Path, config: RunConfig, data: LinkData, graph: Graph
) -> tuple[Tensor, int | None]:
    """The input of the encoder of the run in `folder`, and the number of its categories.

    The dataset's features, or with `train.init_mode=embeddings` the node embeddings, (N, H), of
    the run in `init/`: those of the encoder of its best epoch on the training graph.
    """
    if not _uses_start(folder, config, "embeddings"):
        return data.features, data.num_categories
    source = folder / "init"
    began_from = read_source_config(source, config)
    features, num_categories = input_features(source, began_from, data, graph)
    model = build_model(
        began_from,
        num_features=features.shape[-1],
        num_categories=num_categories,
        num_nodes=data.num_nodes,
    )
    model.load_state_dict(_load_weights(source, data))
    model.eval()
    with torch.no_grad():
        return model.encode(features, graph), None


def read_source_config(folder: Path, config: RunConfig) -> RunConfig:
    found = RunFolder(folder).config()
    refuse_foreign(found, trusted=foreign_targets(config.model_dump()).values(), where=str(folder))
    return RunConfig.read(found)


def initialise(model: LinkModel, config: RunConfig, folder: Path, data: LinkData) -> None:
    """Load the weights of the best epoch in `init/`: all of them, or the encoder's alone.

    Related predictors load each other's weights (`Predictor.names_elsewhere`).

    Raises:
        RunnerError: if the encoders differ, or a weight of either run has no counterpart of the
            same shape in the other.
    """
    mode = config.train.init_mode
    if mode == "embeddings" or not _uses_start(folder, config, mode):
        return
    _refuse_other_encoder(read_source_config(folder / "init", config), config, folder)
    found = _load_weights(folder / "init", data)
    if mode == "encoder":
        _initialise_encoder(model, found)
        return
    predictor, prefix = model.predictor, "predictor."
    own_state = model.state_dict()
    unused = {
        name
        for name in found
        if not predictor.may_start_alone(name.removeprefix(prefix))
        and not _is_same_or_chance(name, found[name], own_state)
    }
    lacking = []
    with torch.no_grad():
        for name, parameter in (*model.named_parameters(), *model.named_buffers()):
            names: tuple[str, ...] = (name,)
            may_start = False
            if name.startswith(prefix):
                own = name.removeprefix(prefix)
                names = tuple(prefix + other for other in predictor.names_elsewhere(own))
                may_start = predictor.may_start_alone(own)
            known = next((n for n in names if n in found), None)
            if known is not None and found[known].shape == parameter.shape:
                parameter.copy_(found[known])
                unused.discard(known)
            elif not may_start:
                lacking.append(name)
    if lacking or unused:
        raise RunnerError(
            "train.init_from: the two runs have not the same weights "
            f"({', '.join(sorted({*lacking, *unused}))}); they need the same encoder.* and "
            "model.*, except for parts that can start alone; train.init_mode=encoder takes the "
            "encoder's alone"
        )


def _is_same_or_chance(name: str, value: Tensor, own: Mapping[str, Tensor]) -> bool:
    """Whether a value is no weight to take up: the state of a generator, or one that is here."""
    return name.endswith("_extra_state") or (name in own and torch.equal(own[name].cpu(), value))


def _refuse_other_encoder(source: RunConfig, config: RunConfig, folder: Path) -> None:
    if config.train.init_mode == "encoder":
        both = {**source.encoder, **config.encoder}
        keys = tuple(key for key in both if not key.endswith(_OF_TRAINING))
    else:
        keys = _ENCODER_KEYS
    different = [key for key in keys if source.encoder.get(key) != config.encoder.get(key)]
    if different or _uses_start(folder / "init", source, "embeddings"):
        what = ", ".join(f"encoder.{key}" for key in different) or "train.init_mode=embeddings"
        raise RunnerError(
            f"train.init_from: that run's encoder is another one ({what}), whose weights mean "
            "nothing here: give a run with the same encoder, or train.init_mode=embeddings"
        )


def _initialise_encoder(model: LinkModel, found: Mapping[str, Tensor]) -> None:
    prefix = "encoder."
    own = {name.removeprefix(prefix): x for name, x in found.items() if name.startswith(prefix)}
    try:
        model.encoder.load_state_dict(own)
    except RuntimeError as error:
        problem = str(error).splitlines()[-1].strip()
        raise RunnerError(
            "train.init_mode=encoder: that run's encoder does not fit this model, whose own it "
            f"would be ({problem}); give a run with the same encoder, and a model that reads "
            "embeddings"
        ) from None


def freeze(model: LinkModel, config: RunConfig, folder: Path) -> None:
    """Freeze the encoder with `train.init_mode=encoder train.lr_encoder=0`: it has no dropout then.

    In other modes a learning rate of 0 leaves the encoder's dropout as it is.

    Raises:
        RunnerError: if nothing is left to train.
    """
    if not _uses_start(folder, config, "encoder") or config.train.lr_encoder:
        return
    model.freeze_encoder()
    if config.train.epochs and not any(p.requires_grad for p in model.parameters()):
        raise RunnerError(
            "train.lr_encoder=0: the encoder is frozen, and this predictor has no weights; give a "
            "learning rate, or train=none to evaluate it as it is"
        )
    rates = (key for key, value in config.encoder.items() if key.endswith("dropout") and value)
    idle = ", ".join(f"encoder.{key}" for key in rates)
    log.info(
        "train.lr_encoder=0: the encoder stays as it is, in evaluation%s",
        f"; without effect: {idle}" if idle else "",
    )


def _load_weights(
    folder: Path, data: LinkData, *, key: str = "train.init_from"
) -> dict[str, Tensor]:
    content = checkpoint.read(folder / "checkpoints" / "best.pt")
    seen = content["fingerprint"]
    if data.fingerprint not in (seen, fingerprint_with_all_links(seen)):
        raise RunnerError(
            f"{key}: that run has seen another dataset or another split, whose training "
            "links may be test links here; give a run on the same data with the same seed, which "
            "decides the split (seeds.split)"
        )
    return content["model"]
