"""Write generated run folders, to try `runner-compare` on very many of them.

    python scripts/write_runs.py --root tree --runs 1000
    runner-compare tree --html tree.html

A fifth of them are seeds of four models on two datasets, the others a random search. Configs are
the real ones; the measurements are invented.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_module
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from runner.config import resolvers
from runner.storage.seal import sealed_json, sealed_lines

MODELS, DATASETS = ("gae", "gae_cn", "ncn", "ncnc"), ("cora", "citeseer")
LEVEL = {"gae": 0.86, "gae_cn": 0.87, "ncn": 0.89, "ncnc": 0.90}
METRICS = ("hits@100", "hits@10", "hits@50", "mrr")
EPOCHS = 100


def write_runs(root: Path, runs: int) -> None:
    """Write `runs` folders below `root`, which must not exist."""
    root.mkdir(parents=True)
    chance = random.Random(0)
    configs = {
        (model, dataset): _config(model, dataset) for dataset in DATASETS for model in MODELS
    }
    families = list(configs)
    for number in range(runs):
        if number < runs // 5:
            model, dataset = families[number % len(families)]
            config = copy.deepcopy(configs[model, dataset])
            seed, quality = number // len(families), 0.0
        else:
            model, dataset = "ncnc", "cora"
            config = copy.deepcopy(configs[model, dataset])
            seed, quality = chance.randrange(3), _search(config, chance)
        _set_seed(config, seed)
        folder = root / dataset / model / f"2026-01-01_00-00-00-{number:08x}"
        _write_run(folder, config, LEVEL[model] + quality, seed, chance)


def _config(model: str, dataset: str) -> dict[str, Any]:
    resolvers.register()
    OmegaConf.register_new_resolver("random_id", lambda: "id", replace=True)
    overrides = [f"model={model}", f"dataset={dataset}", "dataset.root=data", "tracker=none"]
    with initialize_config_module("runner.conf", version_base="1.3"):
        composed = compose("config", overrides=overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(composed)
    del composed._content["hydra"]
    return OmegaConf.to_container(composed, resolve=True)  # type: ignore[return-value]


def _search(config: dict[str, Any], chance: random.Random) -> float:
    """Draw hyper-parameters; what they are worth."""
    learning_rate = 10 ** chance.uniform(-4, -1.5)
    dropout = chance.choice([0.0, 0.05, 0.1, 0.3, 0.5])
    config["train"] |= {"lr_encoder": learning_rate, "lr_predictor": 10 ** chance.uniform(-4, -2)}
    config["model"]["dropout"] = dropout
    config["model"]["completion"]["alpha"] = chance.choice([0.25, 0.5, 0.75, 1.0])
    config["encoder"]["hidden"] = chance.choice([64, 128, 256])
    return -0.2 * abs(dropout - 0.1) - 8 * abs(learning_rate - 0.004)


def _set_seed(config: dict[str, Any], seed: int) -> None:
    config["seed"] = seed
    config["seeds"] = dict.fromkeys(config["seeds"], seed)
    for place in (config["dataset"]["source"], config["protocol"]):
        place["split"]["seed"] = seed


def _write_run(
    folder: Path, config: Mapping[str, Any], level: float, seed: int, chance: random.Random
) -> None:
    folder.mkdir(parents=True)
    rows = [_epoch(epoch, level, chance) for epoch in range(1, EPOCHS + 1)]
    best = max(rows, key=lambda row: row[f"valid/{METRICS[0]}"])
    run, protocol = config["run"], config["protocol"]
    unseeded = {**config, "seed": None, "seeds": None, "dataset": run["dataset"]}
    unseeded["protocol"] = {**protocol, "split": None}
    digest = hashlib.sha256(json.dumps(unseeded, sort_keys=True).encode()).hexdigest()[:8]
    meta = {
        "run_id": folder.name,
        "created": "2026-01-01T00:00:00+00:00",
        "versions": {"python": "3.11.7", "torch": "2.13.0+cpu"},
        "machine": {"host": "generated", "cores": 2},
        "resumes": [],
        "data": {"fingerprint": "0" * 64},
        "experiment": f"{run['dataset']}-{run['model']}-{digest}",
        "seeds": config["seeds"],
    }
    summary = {
        "model": run["model"],
        "dataset": run["dataset"],
        "seed": seed,
        "epochs": EPOCHS,
        "best_epoch": best["epoch"],
        "select": METRICS[0],
        **{
            split: {name: best[f"{split}/{name}"] for name in METRICS}
            for split in ("valid", "test")
        },
        "published": protocol["published"].get(run["model"]),
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "peak_memory_gib": round(chance.uniform(0.5, 0.8), 3),
    }
    texts = {
        "config.yaml": sealed_lines(yaml.safe_dump(dict(config), sort_keys=False)),
        "overrides.yaml": sealed_lines(yaml.safe_dump([])),
        "meta.json": sealed_json(meta),
        "metrics.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "summary.json": sealed_json(summary),
        "status.json": sealed_json({"status": "done", "error": None}),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)


def _epoch(epoch: int, level: float, chance: random.Random) -> dict[str, float]:
    learnt = max(level, 0.05) * (1 - 0.7 * 0.93**epoch)
    row: dict[str, float] = {"epoch": epoch, "loss": 1.2 * 0.98**epoch, "gradient_norm": 1.0}
    row |= {"lr/encoder": 0.004, "lr/predictor": 0.002}
    for split in ("valid", "test"):
        for place, name in enumerate(METRICS):
            row[f"{split}/{name}"] = min(1.0, learnt * (1 - 0.2 * place) + chance.gauss(0, 0.01))
    return {
        **row,
        "evaluation_seconds": 0.1,
        "seconds": chance.uniform(0.3, 0.5),
        "memory_gib": 0.6,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    if options.root.exists():
        print(f"--root {options.root}: it exists; give a new folder", file=sys.stderr)
        return 1
    write_runs(options.root, options.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
