"""embeddings.npz: written at the end of a run that is asked for it."""

from __future__ import annotations

import numpy as np
import torch

from runner.prediction.trained import open_trained
from runner.storage import kept_embeddings
from runner.storage.seal import read_json

PLAIN = ("model=ncn", "dataset=lesmis", "tracker=none", "train.epochs=6", "hardware.threads=1")
SETTING = (*PLAIN, "run.keep_embeddings=true")


def record(folder, name):
    return read_json((folder / name).read_text())


def test_they_are_those_of_the_best_epoch_on_the_graph_of_training(made_once):
    folder = made_once(*SETTING)
    facts, rows = kept_embeddings.read(folder)
    meta, summary = record(folder, "meta.json"), record(folder, "summary.json")
    assert facts.epoch == summary["best_epoch"] < summary["epochs"]
    assert (facts.run_id, facts.graph) == (meta["run_id"], meta["data"]["graph"])
    assert facts.names == meta["data"].get("names", "")
    trained = open_trained(folder, device="cpu")
    with torch.no_grad():
        h = trained.model.encode(trained.features, trained.graphs[0])
    np.testing.assert_allclose(rows, h, rtol=1e-5, atol=1e-6)
    assert rows.dtype == np.float32


def test_they_are_no_part_of_what_a_run_is_and_change_no_figure(made_once):
    kept, without = made_once(*SETTING), made_once(*PLAIN)
    assert not (without / kept_embeddings.FILE).exists()
    assert len({record(of, "meta.json")["experiment"] for of in (kept, without)}) == 1
    one, other = (record(folder, "summary.json") for folder in (kept, without))
    assert (one["valid"], one["test"]) == (other["valid"], other["test"])


def test_a_model_without_embeddings_is_refused(runner):
    code, _, err = runner("model=cn", "dataset=lesmis", "tracker=none", "run.keep_embeddings=true")
    assert code == 1 and "run.keep_embeddings=true: this model has no encoder" in err
