"""Means, spreads and published figures."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest
from scipy.stats import ttest_ind_from_stats
from tests.runner.comparison.conftest import PUBLISHED, write_run

from runner.comparison.collect import collect
from runner.comparison.groups import group
from runner.comparison.table import p_value, readable, table
from runner.comparison.writers import latex


def rows_of(*folders):
    return table(group(collect(folders)))


def test_mean_spread_and_welch_against_the_published_figure(root):
    rows = rows_of(root).set_index("model")
    ncn = rows.loc["ncn"]
    assert (ncn["runs"], ncn["mean"], ncn["std"]) == (3, pytest.approx(90), pytest.approx(2))
    assert ncn["difference"] == pytest.approx(1)
    expected = ttest_ind_from_stats(90, 2, 3, 89, (10 / 9) ** 0.5, 10, equal_var=False).pvalue
    assert ncn["p"] == pytest.approx(expected)
    # By hand: t = 1 / sqrt(4/3 + 1/9) with about 2.3 degrees of freedom.
    assert 0.4 < ncn["p"] < 0.6
    ncn2 = rows.loc["ncn2"]
    assert ncn2["runs"] == 1 and np.isnan(ncn2["std"]) and np.isnan(ncn2["p"])
    assert rows["best"].to_dict() == {"ncn": True, "ncn2": False}
    assert (ncn["seconds"], ncn["peak_memory_gib"], ncn["epochs"]) == (10, 0.5, 4)


def test_means_that_print_alike_are_both_best_and_a_single_row_is_not(tmp_path):
    write_run(tmp_path / "a", "ncn", 0, 0.900000)
    assert rows_of(tmp_path / "a")["best"].tolist() == [False]
    write_run(tmp_path / "a", "ncnc", 0, 0.900001)
    write_run(tmp_path / "a", "gae", 0, 0.7)
    rows = rows_of(tmp_path / "a").set_index("model")
    assert rows["best"].to_dict() == {"gae": False, "ncn": True, "ncnc": True}


def test_a_published_figure_without_spread_gives_a_difference_alone(tmp_path):
    figure = {"metric": "hits@100", "mean": 56.44, "std": None}
    for seed in (0, 1):
        write_run(tmp_path, "cn", seed, 0.5, published=figure)
    (row,) = rows_of(tmp_path).to_dict("records")
    assert row["difference"] == pytest.approx(-6.44) and np.isnan(row["p"])
    assert readable(rows_of(tmp_path))["published %"][0] == "56.44"


def test_another_metric_is_not_compared(tmp_path):
    write_run(tmp_path, "ncn", 0, 0.5, published={"metric": "mrr", "mean": 56.44, "std": 1.0})
    (row,) = rows_of(tmp_path).to_dict("records")
    assert np.isnan(row["difference"])
    (row,) = table(group(collect([tmp_path]), metric="mrr")).to_dict("records")
    assert row["difference"] == pytest.approx(50 - 56.44)


def test_a_figure_of_another_metric_may_stand_beside_and_be_marked(tmp_path):
    also = [{"metric": "mrr", "mean": 56.44, "std": None, "unverified": True}]
    write_run(tmp_path, "ncn", 0, 0.5, published={**PUBLISHED, "also": also})
    groups = group(collect([tmp_path]), metric="mrr")
    rows = table(groups)
    assert rows["difference"].tolist() == [pytest.approx(50 - 56.44)]
    assert readable(rows)["published %"].tolist() == ["56.44 (unverified)"]
    assert "56.44 (unverified)" in latex(rows)
    assert readable(rows_of(tmp_path))["published %"].tolist() == ["89.00 ± 1.00"]


def test_runs_of_which_only_some_have_a_published_figure_are_not_compared_with_it(tmp_path):
    write_run(tmp_path, "ncn", 0, 0.5, published=PUBLISHED)
    write_run(tmp_path, "ncn", 1, 0.5)
    assert rows_of(tmp_path)["published_mean"].isna().all()


def test_seeds_of_their_own_are_no_repeats(tmp_path):
    for initialisation in range(3):
        meta = {"seeds": {"split": 0, "initialisation": initialisation}}
        write_run(tmp_path, "ncn", 0, 0.5, name=str(initialisation), meta=meta)
    assert rows_of(tmp_path)["runs"].tolist() == [3]


def test_models_of_runs_that_name_no_experiment_stay_apart(tmp_path):
    for model in ("ncn", "ncnc"):
        (write_run(tmp_path, model, 0, 0.5) / "meta.json").unlink()
    assert len(rows_of(tmp_path)) == 2


def test_runs_from_before_there_were_checksums_are_read(tmp_path):
    folder = write_run(tmp_path, "ncn", 0, 0.5)
    for name in ("summary.json", "status.json", "meta.json"):
        content = json.loads((folder / name).read_text())
        del content["sha256"]
        (folder / name).write_text(json.dumps(content))
    assert rows_of(tmp_path)["mean"].tolist() == [50]


@pytest.mark.parametrize(("p", "text"), [(0.0001, "<0.001"), (0.5, "0.500"), (np.nan, "")])
def test_a_p_value_is_never_zero(p, text):
    assert p_value(p) == text


def test_the_protocol_is_said_and_never_mixed(tmp_path, compare):
    for model, protocol, test in (("ncn", "heart", 0.3), ("ncn", "hard", 0.2), ("cn", "hard", 0.1)):
        settings = {"run.protocol": protocol}
        write_run(
            tmp_path, model, 0, test, name=protocol, settings=settings, experiment=protocol + model
        )
    write_run(tmp_path, "cn", 0, 0.9, dataset="ogbl", settings={"protocol.official_split": True})
    frame = tmp_path / "table.csv"
    code, out, _ = compare(tmp_path, "--csv", frame, "--html", tmp_path / "page.html")
    assert code == 0, out
    rows = pandas.read_csv(frame)
    assert dict(zip(rows["dataset"], rows["protocol"], strict=True)) == {
        "cora, heart": "heart", "cora, hard": "hard", "ogbl": "official",
    }  # fmt: skip
    assert rows[rows["best"]]["mean"].tolist() == [pytest.approx(20)]
    page = (tmp_path / "page.html").read_text()
    assert "cora, heart, hits@100" in page and "Judged by protocol=hard." in page
