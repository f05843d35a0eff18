"""In what two runs differ."""

from __future__ import annotations

import pytest
from tests.runner.comparison.conftest import write_run

from runner.comparison.collect import collect
from runner.comparison.differences import compact, differences


@pytest.fixture
def two(tmp_path):
    write_run(tmp_path, "ncn", 0, 0.5, meta={"git": "aaa", "device": "cpu"})
    settings = {"train.lr_encoder": 0.5, "model.completion": {}, "model.new": True}
    write_run(tmp_path, "ncn", 1, 0.5, settings=settings, meta={"git": "bbb", "device": "cpu"})
    return collect([tmp_path])


def test_settings_and_then_records_that_differ(two):
    found = {key: values for key, *values in differences(*two)}
    assert found == {
        "seed": ["0", "1"],
        "seeds.split": ["0", "1"],
        "seeds.dropout": ["0", "1"],
        "train.lr_encoder": ["0.01", "0.5"],
        "model.completion.alpha": ["1", "absent"],
        "model.completion": ["absent", "{}"],
        "model.new": ["absent", "true"],
        "revision": ["aaa", "bbb"],
    }
    assert list(found)[-1] == "revision"
    assert differences(two[0], two[0]) == []


def test_only_what_varies_is_stored_and_gives_every_value_back(tmp_path):
    for seed in range(6):
        write_run(tmp_path, "ncn", seed, 0.5, settings={"model.dropout": seed % 2 / 2})
    runs = collect([tmp_path])
    keys, values, rows = compact(runs)
    assert set(keys) == {"seed", "seeds.split", "seeds.dropout", "model.dropout"}
    column = keys.index("model.dropout")
    assert len(values[column]) == 2
    assert [values[column][row[column]] for row in rows] == ["0", "0.5"] * 3


def test_the_command_prints_them(two, tmp_path, compare):
    folder = tmp_path / "cora" / "ncn"
    code, out, _ = compare(tmp_path, "--diff", folder / "0", "ncn/1")
    assert code == 0 and "train.lr_encoder" in out and "0.01" in out and "hits@100" not in out
    code, _, error = compare(tmp_path, "--diff", "ncn/1", "nowhere")
    assert code == 2 and "--diff nowhere: none of these runs is called so" in error
    write_run(tmp_path, "ncn", 1, 0.5, dataset="citeseer")
    code, _, error = compare(tmp_path, "--diff", "ncn/1", "ncn/0")
    assert code == 2 and "several runs end so" in error
