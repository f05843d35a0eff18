"""A trained run as a folder to share: weights as safetensors, records without places, a card."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import yaml

import runner
from runner.config.facts import effect_of
from runner.config.flat import flat
from runner.config.reports import NODES
from runner.errors import RunnerError
from runner.keys import Effect
from runner.records import checkpoint
from runner.records.folder import RunFolder
from runner.records.summary import read_summary
from runner.storage.seal import read_json, seal_of, sealed_json, sealed_lines
from runner.storage.workshop import sync, workshop

WEIGHTS = "model.safetensors"
_COPIED = ("summary.json", NODES)
_CALIBRATION = "calibration.json"
# What another machine needs of meta.json; the rest is about this one.
_META = (
    "run_id",
    "created",
    "experiment",
    "seeds",
    "data",
    "sizes",
    "test_graph",
    "hyperparameters",
)


def write(source: RunFolder, config: Mapping[str, Any], target: Path) -> None:
    """Write what `runner.load` needs of a run, but for its dataset, into a new folder.

    The folder appears whole or not at all.

    Args:
        config: of the run, with the overrides of its resumes.

    Raises:
        RunnerError: if the folder is not empty or cannot be written, or the run has no weights.
    """
    best = source.checkpoints / "best.pt"
    if not best.is_file():
        raise RunnerError(f"{source.path}: no weights to share ({best.name} is missing)")
    # The digest first, as a run is opened: with that of older weights, no calibration is of these.
    digest, content = seal_of(best), checkpoint.read(best)
    target = target.absolute()
    try:
        if target.exists() and any(target.iterdir()):
            raise RunnerError(f"export: {target} is not empty; name a new folder")
        with workshop(target) as working:
            _write_weights(working / WEIGHTS, content, digest)
            _write_records(source, config, working)
            sync(working)
            working.chmod(0o755)
            os.rename(working, target)
    except OSError as error:
        raise RunnerError(f"export: {target} cannot be written ({error.strerror})") from None


def _write_records(source: RunFolder, config: Mapping[str, Any], folder: Path) -> None:
    text = yaml.safe_dump(_without_places(config), sort_keys=False)
    (folder / "config.yaml").write_text(sealed_lines(text))
    meta = source.meta()
    kept = {key: meta[key] for key in _META if key in meta}
    (folder / "meta.json").write_text(sealed_json({**kept, "resumes": []}))
    for name in _COPIED:
        if (source.path / name).is_file():
            shutil.copy(source.path / name, folder / name)
    calibration = source.path / _CALIBRATION
    if calibration.is_file():
        (folder / _CALIBRATION).write_text(_without_source(calibration.read_text()))
    if (source.path / "init").is_dir() and config["train"]["init_mode"] == "embeddings":
        shutil.copytree(source.path / "init", folder / "init")  # whose embeddings it reads
    (folder / "README.md").write_text(_card(source, config, meta))


def _write_weights(path: Path, content: Mapping[str, Any], digest: str) -> None:
    from safetensors.torch import save_file

    facts = {
        "fingerprint": str(content["fingerprint"]),
        "epoch": str(content["state"]["best"]["epoch"]),
        "digest": digest,
    }
    save_file({name: x.contiguous() for name, x in content["model"].items()}, path, facts)


def read_weights(path: Path) -> tuple[str, dict[str, Any]]:
    """The digest and the content of the checkpoint that the weights are of.

    Raises:
        RunnerError: if the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata()
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = {"best": {"epoch": int(facts["epoch"])}}
        content = {"model": weights, "fingerprint": facts["fingerprint"], "state": state}
        return facts["digest"], content
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunnerError(
            f"{path}: the weights are damaged ({error}); get the file again"
        ) from None


def _without_places(config: Mapping[str, Any]) -> dict[str, Any]:
    """Paths of this machine are nobody's business: their last part stays."""
    values = flat(config, ".")

    def cleaned(node: Any, name: str) -> Any:
        if isinstance(node, Mapping):
            return {key: cleaned(x, f"{name}.{key}" if name else key) for key, x in node.items()}
        if isinstance(node, list):
            return [cleaned(x, name) for x in node]
        is_place = isinstance(node, str) and PurePath(node).is_absolute()
        if is_place and effect_of(name, values) in (Effect.PLACE, Effect.SOURCE):
            return PurePath(node).name
        return None if name == "train.init_from" and is_place else node

    return cleaned(config, "")


def _without_source(calibration: str) -> str:
    """A calibration without the folder of the run that a refit has it from.

    Raises:
        RunnerError: if it is damaged.
    """
    content = read_json(calibration)
    taken_from = content["taken_from"]
    if taken_from is not None:
        content["taken_from"] = {key: x for key, x in taken_from.items() if key != "folder"}
    return sealed_json(content)


def _card(source: RunFolder, config: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
    model, dataset = config["run"]["model"], config["run"]["dataset"]
    lines = [
        "---", "library_name: link-runner", "tags: [link-prediction, graph]", "---", "",
        f"# {model} on {dataset}", "",
    ]  # fmt: skip
    try:
        summary = read_summary(source.path)
    except RunnerError:
        summary = {}
    if summary.get("test"):
        lines += ["| metric | validation | test |", "|---|---|---|"]
        for name, value in summary["test"].items():
            lines.append(
                f"| {name} | {summary['valid'].get(name, float('nan')):.4f} | {value:.4f} |"
            )
        lines += [
            "",
            f"Protocol `{config['run']['protocol']}`, seed {config['seed']}, weights of epoch "
            f"{summary['best_epoch']}, chosen on validation by {summary['select']}; the test graph "
            f"has {meta['test_graph']}.",
        ]
    else:
        lines.append("Trained without evaluation.")
    if (source.path / _CALIBRATION).is_file():
        lines += ["", "Scores are calibrated: `run.score(pairs, probability=True)`."]
    lines += [
        "", "## Load", "", "```python", "import runner",
        'run = runner.load("<this folder>", overrides=["dataset.path=<file>"])', "```", "",
        "The dataset is not in this folder. `overrides` says where it lies (`dataset.path=…` for a "
        "file of links, `dataset.root=…` for a benchmark); another one than this is refused:", "",
        "```json", json.dumps({**meta["sizes"], **_fingerprints(meta)}, indent=2), "```", "",
        f"Made with link-runner {runner.__version__}.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _fingerprints(meta: Mapping[str, Any]) -> dict[str, str]:
    return {key: meta["data"][key] for key in ("graph", "features") if key in meta["data"]}
