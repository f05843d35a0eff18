"""In what a run is not the one whose figure was published."""

from __future__ import annotations

import json
import os

import pytest
from tests.test_configs import resolved

from runner.config.setting import differences

NCN = ("model=ncn", "dataset=cora")
SIZES = {"sizes": {"nodes": 2708, "links": 5278}}


def found(*overrides: str, meta: dict | None = None) -> list[tuple]:
    rows = differences(resolved(*overrides), SIZES if meta is None else meta)
    return [(row["key"], row["value"], row.get("published", "-")) for row in rows]


def test_the_published_run_does_not_differ():
    assert found(*NCN) == []
    assert found("model=cn", "dataset=cora") == []


def test_result_and_length_count():
    assert found(*NCN, "train.epochs=10", "train.weight_decay=0.1", "encoder=gcn") == [
        ("encoder.convolution.path", "runner.models.convolution.GCN",
         "runner.models.convolution.PureGCN"),
        ("train.epochs", 10, 100),
        ("train.weight_decay", 0.1, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "override",
    ["seed=7", "seeds.split=3", "train.eval_batch_size=100", "hardware=cpu", "tracker=none",
     "dataset.root=/elsewhere", "train.checkpoint_steps=5", "protocol.metrics=[hits@100]",
     "run.cache=/elsewhere"],
)  # fmt: skip
def test_what_changes_no_result_does_not_count(override):
    assert found(*NCN, override) == []


def test_what_changes_no_figure_does_not_count_and_what_moves_dropout_does():
    assert found(*NCN, "train.eval_batch_size=64", "evaluator.queries=all") == []
    ncnc = ("model=ncnc", "dataset=cora")
    chunks = found(*ncnc, "model.completion.chunk_size=64")
    assert chunks == [("model.completion.chunk_size", 64, None)]
    assert found("model=cn", "dataset=cora", "train.lr_encoder=1", "train.patience=3") == []


def test_a_copy_of_another_key_and_the_keys_of_another_component_are_not_told():
    assert found(*NCN, "encoder.hidden=8") == [("encoder.hidden", 8, 256)]
    changed = found(*NCN, "negatives=pairs", "hyperparameters=default")
    assert ("negatives._target_", "runner.training.negatives.UniformPairs",
            "runner.training.negatives.UniformNonEdges") in changed  # fmt: skip
    keys = [key for key, *_ in changed]
    assert "train.lr_encoder" in keys and "hyperparameters" not in keys
    assert not any(key.startswith(("negatives.per", "protocol.")) for key in keys)


def test_a_copy_of_a_whole_node_is_not_told():
    heart = ("model=ncn", "dataset=cora", "protocol=heart")
    assert found(*heart, "protocol.split.own_negatives=false") == [
        ("protocol.split.own_negatives", False, True)
    ]
    config = resolved(*heart)
    config["dataset"]["source"]["split"]["own_negatives"] = False  # no copy any more
    assert [row["key"] for row in differences(config, SIZES)] == [
        "dataset.source.split.own_negatives"
    ]


def test_a_warm_start_is_compared_with_that_of_the_paper():
    ddi = ("model=ncnc", "dataset=ogbl-ddi")
    meta = {"sizes": {"nodes": 4267}, "init_from": {"mode": "weights"}}
    assert found(*ddi, "train.init_from=there", meta=meta) == []
    longer = found(*ddi, "train.init_from=there", "train.epochs=3", meta=meta)
    assert longer == [("train.epochs", 3, 2)]
    assert ("train.epochs", 3, 100) in found(*ddi, "train.epochs=3", meta={"sizes": meta["sizes"]})


def test_data_of_other_sizes_or_another_content():
    sizes = {"nodes": 300, "training_links": 1179052, "test_links": 12}
    assert found("model=ncnc", "dataset=ogbl-collab", meta={"sizes": sizes}) == [
        ("data.nodes", 300, 235868),
        ("data.test_links", 12, 46329),
    ]
    other = found(*NCN, meta={**SIZES, "data": {"graph": "ab"}})
    assert [key for key, *_ in other] == ["data.graph"]


def test_what_was_not_recorded_is_said():
    assert found(*NCN, meta={}) == [("data", "not recorded", "-")]
    config = resolved(*NCN)
    for name in ("mine", "../ncn", "ncn,ncnc", "[ncn]", ""):
        config["run"]["model"] = name
        assert differences(config, SIZES) == [{"key": "setting", "value": "not recorded"}]
    assert differences({}, {}) == [{"key": "setting", "value": "not recorded"}]


def test_a_key_that_is_younger_than_the_run_does_not_count():
    config = resolved(*NCN)
    del config["train"]["weight_decay"], config["protocol"]["published_data"]
    del config["encoder"]["sparse_embedding"]
    assert differences(config, SIZES) == []
    del config["encoder"]["residual"]
    assert [row["key"] for row in differences(config, SIZES)] == ["encoder.residual"]


@pytest.mark.skipif("RUNNER_DATA" not in os.environ, reason="RUNNER_DATA is not set")
@pytest.mark.parametrize(
    "chosen", [("dataset=cora",), ("dataset=citeseer",), ("dataset=citeseer", "protocol=heart")]
)
def test_the_real_data_are_the_published_data(runner, tmp_path, chosen):
    code, out, err = runner("model=cn", *chosen, "tracker=none", "hydra.run.dir=run")
    assert code == 0, err
    assert json.loads((tmp_path / "run/summary.json").read_text())["differs"] == []
    assert "not the published" not in out
    sizes = json.loads((tmp_path / "run/meta.json").read_text())["sizes"]
    assert sizes["links"] == sum(sizes[f"{part}_links"] for part in ("training", "valid", "test"))


@pytest.mark.parametrize(("model", "single"), [("ocn", None), ("ocnp", 0.0)])
def test_a_figure_that_was_measured_with_other_arguments_has_these(model, single):
    """A run as shipped has none; the one of `published_with` does not differ."""
    chosen = (f"model={model}", "dataset=cora")
    published = resolved(*chosen, "model.normaliser=batch")
    assert published["model"]["single_weight"] == single
    assert found(*chosen, "model.normaliser=batch") == []
    assert ("model.normaliser", "graph", "batch") in found(*chosen)
    mixed = found(*chosen, "model.normaliser=batch", "evaluator.company=mixed")
    assert mixed == [("evaluator.company", "mixed", "apart")]
