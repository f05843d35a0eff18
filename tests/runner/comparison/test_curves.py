"""Learning curves: mean and spread over the runs that have an epoch."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.runner.comparison.conftest import write_run

from runner.comparison.collect import collect
from runner.comparison.curves import curves
from runner.comparison.groups import group

NAMES = ["loss", "valid/hits@100", "test/hits@100"]


def curves_of(root):
    (of,) = group(collect([root]))
    return curves(of, NAMES)


def test_mean_and_spread_by_epoch_over_the_runs_that_have_it(tmp_path):
    write_run(tmp_path, "ncn", 0, 0.4, epochs=2)  # 20, 40 %
    write_run(tmp_path, "ncn", 1, 0.9, epochs=3)  # 30, 60, 90 %
    found = curves_of(tmp_path)
    assert set(found) == {"loss", "valid/hits@100"}
    curve = found["valid/hits@100"]
    assert curve.epochs.tolist() == [1, 2, 3] and curve.runs.tolist() == [2, 2, 1]
    assert curve.mean == pytest.approx([25, 50, 90])
    assert curve.std[:2] == pytest.approx([np.std([20, 30], ddof=1), np.std([40, 60], ddof=1)])
    assert np.isnan(curve.std[2])
    assert found["loss"].mean == pytest.approx([1, 1 / 2, 1 / 3])


def test_torn_and_foreign_lines_and_missing_files_are_left_out(tmp_path):
    folder = write_run(tmp_path, "ncn", 0, 0.4, epochs=2)
    bad = ["[1]", '{"epoch": -1, "loss": 9}', '{"epoch": 1e99, "loss": 9}', '{"loss": 9}']
    bad += ['{"epoch": 3, "loss": "high"}', "\x00", '{"epoch": 4, "lo']
    with open(folder / "metrics.jsonl", "a") as file:
        file.write("\n".join(bad))
    write_run(tmp_path, "ncn", 1, 0.4).joinpath("metrics.jsonl").unlink()
    assert curves_of(tmp_path)["loss"].epochs.tolist() == [1, 2]


def test_a_value_that_is_not_finite_is_no_part_of_a_mean(tmp_path):
    for seed, loss in enumerate((1.0, float("nan"), 3.0)):
        folder = write_run(tmp_path, "ncn", seed, 0.4)
        (folder / "metrics.jsonl").write_text(json.dumps({"epoch": 1, "loss": loss}) + "\n")
    curve = curves_of(tmp_path)["loss"]
    assert curve.mean.tolist() == [2.0] and curve.runs.tolist() == [2]


def test_very_long_curves_are_thinned_from_their_first_to_their_last_epoch(tmp_path):
    write_run(tmp_path, "ncn", 0, 0.4, epochs=1001)
    curve = curves_of(tmp_path)["loss"]
    assert len(curve.epochs) <= 250 and (curve.epochs[0], curve.epochs[-1]) == (1, 1001)
    assert curve.mean == pytest.approx(1 / curve.epochs)
