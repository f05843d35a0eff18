"""`train.init_from=<run folder>`: begin with what another run has learned.

What is needed of that run is copied to `init/` in the new run's folder, so that a resume does not
depend on a folder that may change or go.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from ops.csr import Graph
from runner import checkpoint
from runner.build import build_model
from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.run_folder import RunFolder

_FILES = ("config.yaml", "meta.json", "checkpoints/best.pt")


def take(config: Mapping[str, Any], folder: RunFolder) -> dict[str, Any] | None:
    """Copy what a new run begins with into its folder; facts for meta.json, None without.

    `train.init_from=auto` is the newest finished run of the dataset's `warm_start_model` with the
    same seed beside the new run, and nothing where the dataset's published column has no warm
    start for this model.

    Raises:
        RunnerError: if there is no such run, or it lacks a file.
    """
    if config["train"]["init_from"] is None:
        return None
    source = _source(config, folder)
    if source is None:
        return None
    missing = [name for name in _FILES if not (source / name).is_file()]
    if missing:
        raise RunnerError(
            f"train.init_from={source}: no run that can be begun from "
            f"({', '.join(missing)} missing); give the folder of a run that has evaluated an epoch"
        )
    target = folder.path / "init"
    for name in _FILES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, target / name)
    if (source / "init").is_dir():
        shutil.copytree(source / "init", target / "init")
    meta = json.loads((target / "meta.json").read_text())
    return {"folder": str(source), "run_id": meta["run_id"], "mode": config["train"]["init_mode"]}


def _source(config: Mapping[str, Any], folder: RunFolder) -> Path | None:
    given = config["train"]["init_from"]
    if given != "auto":
        return Path(given)
    dataset = config["dataset"]
    if "completion" not in config["model"] or dataset["warm_start_model"] is None:
        return None
    beside = folder.path.parents[1] / dataset["warm_start_model"]
    finished = [
        path.parent for path in beside.glob("*/summary.json") if _has_seed(path, config["seed"])
    ]
    if not finished:
        raise RunnerError(
            f"train.init_from=auto: no finished run of {dataset['warm_start_model']} with "
            f"seed={config['seed']} in {beside}; run it first, or give train.init_from=<run folder>"
        )
    return max(finished, key=lambda path: (path / "summary.json").stat().st_mtime)


def _has_seed(summary: Path, seed: int) -> bool:
    try:
        return json.loads(summary.read_text()).get("seed") == seed
    except (OSError, ValueError):
        return False


def _is_in_use(folder: Path, mode: str) -> bool:
    """Whether the run in `folder` has begun with another, in this mode."""
    if not (folder / "init").is_dir():
        return False
    return bool(_config(folder)["train"]["init_mode"] == mode)


def _config(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "config.yaml").read_text())


def input_features(folder: Path, data: LinkData, graph: Graph) -> tuple[Tensor, int | None]:
    """What the encoder of the run in `folder` is given, and the number of its categories.

    The dataset's features, or with `train.init_mode=embeddings` the node embeddings, (N, H), that
    the encoder of the best epoch of the run in `init/` gives on the training graph.
    """
    if not _is_in_use(folder, "embeddings"):
        return data.features, data.num_categories
    source = folder / "init"
    features, num_categories = input_features(source, data, graph)
    model = build_model(
        _config(source), num_features=features.shape[-1], num_categories=num_categories
    )
    model.load_state_dict(_weights(source, data))
    model.eval()
    with torch.no_grad():
        return model.encode(features, graph), None


def initialise(model: nn.Module, folder: Path, data: LinkData) -> None:
    """With `train.init_mode=weights`, give `model` the weights of the best epoch in `init/`.

    A predictor with completion takes those of its inner predictor from a run without, and the
    other way round; a learned prior, which such a run has not, keeps its own.

    Raises:
        RunnerError: if a weight has no counterpart of the same shape.
    """
    if not _is_in_use(folder, "weights"):
        return
    found = _weights(folder / "init", data)
    lacking = []
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            names = (
                name,
                name.replace("predictor.ncn.", "predictor."),
                name.replace("predictor.", "predictor.ncn."),
            )
            value = next((found[n] for n in names if n in found), None)
            if value is not None and value.shape == parameter.shape:
                parameter.copy_(value)
            elif not name.startswith("predictor.completion."):
                lacking.append(name)
    if lacking:
        raise RunnerError(
            f"train.init_from: that run has no weights of the same shape for {', '.join(lacking)}; "
            "the two runs need the same encoder.* and model.* shapes"
        )


def _weights(folder: Path, data: LinkData) -> dict[str, Tensor]:
    try:
        return checkpoint.load(folder / "checkpoints" / "best.pt", data.fingerprint)["model"]
    except checkpoint.OtherData:
        raise RunnerError(
            "train.init_from: that run has seen another dataset or another split, whose training "
            "links may be test links here; give a run on the same data with the same seed"
        ) from None
