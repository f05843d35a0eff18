"""Run folders made by hand, sealed as a run seals them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.comparison.cli import main
from runner.storage.seal import sealed_json, sealed_lines

PUBLISHED = {"metric": "hits@100", "mean": 89.0, "std": 1.0}
CONFIG: dict[str, Any] = {
    "seed": 0,
    "seeds": {"split": 0, "dropout": 0},
    "run": {"model": "", "dataset": "", "cache": "cache"},
    "hardware": {"device": "auto", "threads": None},
    "train": {"epochs": 10, "lr_encoder": 0.01, "batch_size": 64},
    "sampler": {"_target_": "runner.training.samplers.TargetLinkRemoval", "batch_size": 64},
    "tracker": {"_target_": "runner.tracking.tracker.NullTracker"},
    "model": {"_target_": "runner.models.ncn.NCN", "dropout": 0.1, "completion": {"alpha": 1.0}},
    "protocol": {"metrics": ["hits@100", "mrr"], "published": {}},
}


def write_run(
    root: Path,
    model: str,
    seed: int,
    test: float,
    *,
    name: str = "",
    dataset: str = "cora",
    published: Mapping[str, Any] | None = None,
    status: str = "done",
    error: str | None = None,
    experiment: str | None = None,
    settings: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
    valid: float | None = None,
    epochs: int = 0,
    audits: Mapping[str, Any] | None = None,
    differs: Sequence[Mapping[str, Any]] | None = (),
) -> Path:
    """A run folder, `settings` by dotted keys over a small config, metrics in [0, 1]."""
    folder = root / dataset / model / f"{seed}{name}"
    folder.mkdir(parents=True)
    config = copy.deepcopy(CONFIG)
    config["seed"], config["seeds"] = seed, {"split": seed, "dropout": seed}
    config["run"] |= {"model": model, "dataset": dataset}
    if published:
        config["protocol"]["published"] = {model: dict(published)}
    for key, value in (settings or {}).items():
        *parents, last = key.split(".")
        node = config
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    text = yaml.safe_dump(config, sort_keys=False)
    (folder / "config.yaml").write_text(sealed_lines(text))
    records = {"experiment": experiment or f"{dataset}-{model}-aa", "seeds": config["seeds"]}
    (folder / "meta.json").write_text(sealed_json({**records, "resumes": [], **(meta or {})}))
    (folder / "status.json").write_text(sealed_json({"status": status, "error": error}))
    rows = [
        {"epoch": epoch, "loss": 1 / epoch, "valid/hits@100": test * epoch / epochs}
        for epoch in range(1, epochs + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if status == "done":
        summary = {
            "model": model,
            "dataset": dataset,
            "seed": seed,
            "epochs": epochs,
            "best_epoch": epochs,
            "select": "hits@100",
            "valid": {"hits@100": test if valid is None else valid, "mrr": 0.5},
            "test": {"hits@100": test, "mrr": 0.5},
            "published": published,
            **({} if differs is None else {"differs": differs}),
            "seconds": 10.0,
            "peak_memory_gib": 0.5,
            **({} if audits is None else {"audits": audits}),
        }
        (folder / "summary.json").write_text(sealed_json(summary))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three seeds of ncn (88, 90, 92 %), one of ncn2, and one of it that failed."""
    for seed, test in enumerate((0.88, 0.90, 0.92)):
        write_run(tmp_path / "runs", "ncn", seed, test, published=PUBLISHED, epochs=4)
    write_run(tmp_path / "runs", "ncn2", 0, 0.80)
    write_run(tmp_path / "runs", "ncn2", 1, 0.0, status="failed", error="out of <memory>")
    return tmp_path / "runs"


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]):
    """Run the command in this process: compare("folder", …) -> (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return run
