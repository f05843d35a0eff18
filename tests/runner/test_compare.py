"""`runner-compare` on run folders made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
from scipy.stats import ttest_ind_from_stats

from runner.compare import _left_out, collect, main, readable, table
from runner.errors import RunnerError

PUBLISHED = {"metric": "hits@100", "mean": 89.0, "std": 1.0}


def write(
    root: Path, model: str, seed: int, test: float, *, name="", published=None, status="done",
    experiment=None,
) -> Path:  # fmt: skip
    folder = root / "cora" / model / f"{seed}{name}"
    folder.mkdir(parents=True)
    (folder / "status.json").write_text(json.dumps({"status": status}))
    (folder / "meta.json").write_text(json.dumps({"experiment": experiment or f"cora-{model}-aa"}))
    if status == "done":
        summary = {
            "model": model,
            "dataset": "cora",
            "seed": seed,
            "select": "hits@100",
            "test": {"hits@100": test, "mrr": 0.5},
            "published": published,
            "seconds": 10.0,
        }
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    for seed, test in enumerate((0.88, 0.90, 0.92)):
        write(tmp_path / "runs", "ncn", seed, test, published=PUBLISHED)
    write(tmp_path / "runs", "ncn2", 0, 0.80)
    write(tmp_path / "runs", "ncn2", 1, 0.0, status="failed")
    return tmp_path / "runs"


def test_mean_spread_and_welch_against_the_published_figure(root):
    rows = table(collect([root])).set_index("model")
    ncn = rows.loc["ncn"]
    assert (ncn["runs"], ncn["mean"], ncn["std"]) == (3, pytest.approx(90), pytest.approx(2))
    assert ncn["difference"] == pytest.approx(1)
    expected = ttest_ind_from_stats(90, 2, 3, 89, 1, 10, equal_var=False).pvalue
    assert ncn["p"] == pytest.approx(expected)
    # By hand: t = 1 / sqrt(4/3 + 1/10) with about 2.3 degrees of freedom.
    assert 0.4 < ncn["p"] < 0.6
    ncn2 = rows.loc["ncn2"]
    assert ncn2["runs"] == 1 and np.isnan(ncn2["std"]) and np.isnan(ncn2["p"])


def test_a_seed_counts_once_and_other_settings_are_another_row(root):
    write(root, "ncn", 0, 0.94, name="-later", published=PUBLISHED)
    write(root, "ncn", 7, 0.50, published=PUBLISHED, experiment="cora-ncn-bb")
    rows = table(collect([root, root / "cora"]))
    ncn = rows[rows["model"] == "ncn"].set_index("experiment")
    assert ncn.loc["cora-ncn-aa", "runs"] == 3
    assert "left out: 1 repeated with the same seeds" in _left_out(collect([root]))
    assert ncn.loc["cora-ncn-aa", "mean"] == pytest.approx((94 + 90 + 92) / 3)
    assert ncn.loc["cora-ncn-bb", "runs"] == 1
    assert {"ncn aa", "ncn bb", "ncn2"} == set(readable(rows)["model"])


def test_models_of_runs_that_name_no_experiment_stay_apart(tmp_path):
    for model in ("ncn", "ncnc"):
        folder = write(tmp_path, model, 0, 0.5)
        (folder / "meta.json").unlink()
    assert len(table(collect([tmp_path]))) == 2


def test_a_published_figure_without_spread_gives_a_difference_alone(tmp_path):
    figure = {"metric": "hits@100", "mean": 56.44, "std": None}
    for seed in (0, 1):
        write(tmp_path, "cn", seed, 0.5, published=figure)
    (row,) = table(collect([tmp_path])).to_dict("records")
    assert row["difference"] == pytest.approx(-6.44) and np.isnan(row["p"])
    assert readable(table(collect([tmp_path])))["published %"][0] == "56.44"


def test_another_metric_is_not_compared(tmp_path):
    write(tmp_path, "ncn", 0, 0.5, published={"metric": "mrr", "mean": 56.44, "std": 1.0})
    (row,) = table(collect([tmp_path])).to_dict("records")
    assert np.isnan(row["difference"])


def test_the_command_writes_markdown_and_csv(root, tmp_path, capsys):
    markdown, csv = tmp_path / "table.md", tmp_path / "table.csv"
    assert main([str(root), "--markdown", str(markdown), "--csv", str(csv)]) == 0
    lines = markdown.read_text().splitlines()
    assert lines[0].split("|")[1].strip() == "dataset" and set(lines[1]) <= set("|:-")
    assert "90.00 ± 2.00" in lines[2] and "89.00 ± 1.00" in lines[2] and "+1.00" in lines[2]
    assert pandas.read_csv(csv)["mean"].tolist() == pytest.approx([90, 80])
    out = capsys.readouterr().out
    assert "90.00 ± 2.00" in out and "left out: 1 failed" in out


def test_seeds_of_their_own_are_no_repeats(tmp_path):
    for initialisation in range(3):
        folder = write(tmp_path, "ncn", 0, 0.5, name=str(initialisation))
        meta = {"experiment": "e", "seeds": {"split": 0, "initialisation": initialisation}}
        (folder / "meta.json").write_text(json.dumps(meta))
    assert table(collect([tmp_path]))["runs"].tolist() == [3]


@pytest.mark.parametrize("summary", ['{"hello": 1}', "[1]", "{", '{"select": "mrr", "test": 3}'])
def test_a_foreign_or_damaged_file_spoils_nothing(root, capsys, summary):
    folder = write(root, "ncn", 9, 0.99, published=PUBLISHED)
    (folder / "summary.json").write_text(summary)
    assert main([str(root)]) == 0
    out = capsys.readouterr().out
    assert "90.00 ± 2.00" in out and "left out: 1 unreadable" in out
    (write(root.parent / "alone", "ncn", 0, 0.9) / "summary.json").write_text(summary)
    assert main([str(root.parent / "alone")]) == 1


def test_nothing_to_compare_is_one_clear_error(tmp_path, capsys):
    with pytest.raises(RunnerError, match="no such folder"):
        collect([tmp_path / "nowhere"])
    assert main([str(tmp_path)]) == 1
    assert "no runs in" in capsys.readouterr().err
    write(tmp_path, "ncn", 0, 0.5, status="running")
    assert main([str(tmp_path)]) == 1
    assert "none of the runs is finished" in capsys.readouterr().err
