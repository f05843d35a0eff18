from __future__ import annotations

import copy

import pytest

from runner.config.identity import content_id, experiment_id

BEFORE = {
    "run": {"model": "ncnc", "dataset": "cora"},
    "seed": 0,
    "hardware": {"device": "cpu"},
    "model": {
        "_target_": "runner.models.ncnc.NCNC",
        "hidden": 4,
        "completion": {"_target_": "runner.models.completion.Completion", "t": 0.5, "seed": 3},
    },
    "train": {"epochs": 10, "checkpoint_minutes": 30},
}
LATER = {"dropout": (True, False), "memory_gib": (None, 2.0), "precision": (None, "bfloat16")}


def changed(**completion):
    config = copy.deepcopy(BEFORE)
    config["model"]["completion"].update(completion)
    return config


@pytest.mark.parametrize(("key", "values"), LATER.items())
def test_keys_that_came_later_part_no_runs_until_they_are_used(key, values):
    default, other = values
    identity = experiment_id(BEFORE, warm_start=None)
    assert experiment_id(changed(**{key: default}), warm_start=None) == identity
    assert experiment_id(changed(**{key: other}), warm_start=None) != identity


def test_a_key_parts_no_runs_where_it_has_no_effect():
    def drawn(**completion):
        return experiment_id(changed(**completion), warm_start=None)

    assert drawn(draw_eval="hash") == drawn()
    assert drawn(keep_eval=None, draw_eval="hash") == drawn(keep_eval=None)
    assert drawn(keep_eval=3, draw_eval="generator") == drawn(keep_eval=3)
    assert drawn(keep_eval=3, draw_eval="hash") != drawn(keep_eval=3)


def test_seed_and_machine_part_no_runs():
    config = {**changed(seed=9), "seed": 1, "hardware": {"device": "cuda"}}
    assert experiment_id(config, warm_start=None) == experiment_id(BEFORE, warm_start=None)
    assert experiment_id(changed(t=0.4), warm_start=None) != experiment_id(BEFORE, warm_start=None)
    assert experiment_id(BEFORE, warm_start="weights") != experiment_id(BEFORE, warm_start=None)


def test_the_order_of_composition_parts_no_runs():
    assert experiment_id(dict(reversed(BEFORE.items())), warm_start=None) == experiment_id(
        BEFORE, warm_start=None
    )


def test_what_is_saved_when_parts_no_runs_and_what_is_skipped_does():
    def trained(**keys):
        return {**BEFORE, "train": {**BEFORE["train"], **keys}}

    identity = experiment_id(BEFORE, warm_start=None)
    saving = {"checkpoint_steps": 3, "keep_checkpoints": 5, "grace_seconds": 9}
    assert experiment_id(trained(**saving, not_finite="stop"), warm_start=None) == identity
    assert experiment_id(trained(not_finite="skip"), warm_start=None) != identity


def test_the_encoding_parts_runs_unless_it_is_that_of_before():
    identity = experiment_id(BEFORE, warm_start=None)
    full = {"_target_": "runner.training.encoding.FullEncoding"}
    assert experiment_id({**BEFORE, "encoding": full}, warm_start=None) == identity
    local = {"_target_": "runner.training.encoding.LocalEncoding", "fan_outs": None}
    assert experiment_id({**BEFORE, "encoding": local}, warm_start=None) != identity
    encoder = {"_target_": "runner.models.message_passing.MessagePassing"}
    sparse = {**encoder, "sparse_embedding": True}
    assert experiment_id({**BEFORE, "encoder": sparse}, warm_start=None) != experiment_id(
        {**BEFORE, "encoder": {**encoder, "sparse_embedding": False}}, warm_start=None
    )


def on_file(path="/a/graph.csv", features=None, own=True, name="graph", **keys):
    source = {"_target_": "runner.data.edges.edge_file", "path": path, "features": features, **keys}
    dataset = {"name": name, "path": path, "features": features, "source": source, **keys}
    named = {"run": {"model": "ncnc", "dataset": name}}
    return {**BEFORE, **named, "dataset": {**dataset, **({"own": True} if own else {})}}


def digest(config):
    return experiment_id(config, warm_start=None).rpartition("-")[2]


def test_neither_name_nor_place_tells_a_graph_of_ones_own():
    one = digest(on_file())
    assert digest(on_file("/b/other.csv", name="acme")) == one
    assert digest(on_file(features="/a/nodes.csv")) != one
    assert digest(on_file(features="/a/nodes.csv")) == digest(on_file(features="/b/nodes.csv"))
    assert digest(on_file(num_nodes=9)) != one
    cached = on_file()
    cached["dataset"]["source"]["cache"] = "/home/me/.cache"
    assert digest(cached) == one
    assert experiment_id(on_file(name="acme"), warm_start=None) == f"acme-ncnc-{one}"


def test_a_run_from_before_is_told_by_its_place_and_comes_to_the_same_without():
    old = on_file(own=False, name="edges")
    assert digest(old) != digest(on_file("/b/graph.csv", own=False, name="edges"))
    assert digest(old) != digest(on_file(own=False, name="acme"))
    assert content_id(old, warm_start=None) == digest(on_file("/b/acme.csv", name="acme"))
