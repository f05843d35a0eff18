"""A row beside a published figure that was measured in another setting, or on other data."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys

import pytest
from tests.runner.comparison.conftest import PUBLISHED, write_run
from tests.test_configs import resolved

import runner
from runner.comparison.collect import collect
from runner.comparison.groups import group
from runner.comparison.table import table
from runner.storage.seal import sealed_json

TEN = {"key": "train.epochs", "value": 10, "published": 100}
WORDS = "train.epochs 10, published 100"


@pytest.fixture
def short(tmp_path):
    """Three seeds of ncn, of ten epochs, and three of ncnc in the published setting."""
    for seed, test in enumerate((0.60, 0.61, 0.62)):
        write_run(tmp_path / "runs", "ncn", seed, test, published=PUBLISHED, differs=[TEN])
        write_run(tmp_path / "runs", "ncnc", seed, test + 0.28, published=PUBLISHED)
    return tmp_path / "runs"


def test_the_setting_stands_in_every_output_and_there_is_no_p(short, tmp_path, compare):
    files = {kind: tmp_path / kind for kind in ("csv", "markdown", "latex", "html")}
    options = [word for kind, path in files.items() for word in (f"--{kind}", path)]
    code, out, _ = compare(short, *options)
    assert code == 0 and f"[setting]: cora ncn: not the published setting: {WORDS}" in out
    with open(files["csv"]) as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert (rows["ncn"]["differs"], rows["ncn"]["p"]) == (WORDS, "")
    assert rows["ncnc"]["differs"] == "" and float(rows["ncnc"]["p"]) > 0
    assert float(rows["ncn"]["difference"]) == pytest.approx(-28)
    assert "61.00 ± 1.00 [setting]" in files["markdown"].read_text()
    text = files["latex"].read_text()
    assert "61.00 $\\pm$ 1.00 [setting]" in text
    assert f"% ncn on cora: [setting]: not the published setting: {WORDS}\n" in text
    page = files["html"].read_text()
    assert "61.00 ± 1.00 [setting]" in page and WORDS in page


def test_the_gate_refuses_it(short, compare):
    code, out, error = compare(short, "--check")
    assert code == 2 and f"cannot judge cora ncn: not the published setting: {WORDS}" in error
    assert out.count("not lower") == 1
    code, out, error = compare(short, "--check", "--published-only")
    assert code == 0 and not error and f"other setting: {short / 'cora/ncn/0'}: {WORDS}" in out


def test_published_only_leaves_it_out(short, compare):
    code, out, _ = compare(short, "--published-only")
    assert code == 0 and "[setting]" not in out and "left out: 3 other setting" in out
    assert runner.compare(short, published_only=True)["model"].tolist() == ["ncnc"]
    code, _, error = compare(short, "--published-only", "--where", "model=ncn")
    assert code == 2 and "none of the runs is finished in the published setting" in error


def test_only_beside_a_published_figure(tmp_path):
    write_run(tmp_path, "ncn", 0, 0.5, published={**PUBLISHED, "metric": "mrr"}, differs=[TEN])
    assert table(group(collect([tmp_path])))["differs"].tolist() == [""]
    assert table(group(collect([tmp_path]), metric="mrr"))["differs"].tolist() == [WORDS]


def test_each_difference_of_a_mixed_row_is_told_once(tmp_path):
    other = {**TEN, "value": 20}
    for seed, differs in enumerate(([TEN], [TEN, other], [])):
        write_run(tmp_path, "ncn", seed, 0.8, published=PUBLISHED, differs=differs)
    (row,) = table(group(collect([tmp_path]), keys=["model"])).to_dict("records")
    assert row["differs"] == f"{WORDS}; train.epochs 20, published 100" and math.isnan(row["p"])


def earlier(root, *overrides, sizes=None):
    """A run from before the difference was recorded, with a whole config."""
    folder = write_run(root, "ncn", 0, 0.8, published=PUBLISHED, differs=None, epochs=1)
    config = resolved("model=ncn", "dataset=cora", *overrides)
    (folder / "config.yaml").write_text(json.dumps(config))
    meta = {"experiment": "cora-ncn-aa", "sizes": sizes or {"nodes": 2708}, "resumes": []}
    (folder / "meta.json").write_text(sealed_json(meta))
    return folder


def differs(folder):
    (row,) = table(group(collect([folder]))).to_dict("records")
    return row["differs"]


def test_an_earlier_run_is_compared_by_its_config(tmp_path):
    assert differs(earlier(tmp_path / "a")) == ""
    assert differs(earlier(tmp_path / "b", "train.epochs=10")) == WORDS
    nodes = differs(earlier(tmp_path / "c", sizes={"nodes": 5}))
    assert nodes == "data.nodes 5, published 2708"


def test_an_earlier_run_whose_setting_is_lost_says_so(tmp_path, compare):
    folder = earlier(tmp_path / "runs")
    (folder / "config.yaml").write_text("{")
    assert "cora ncn: not the published setting: setting not recorded" in compare(folder)[1]


def test_an_earlier_run_is_compared_without_torch(tmp_path):
    folder = earlier(tmp_path, "train.epochs=10")
    code = (
        "import sys; from runner.comparison.cli import main; main([sys.argv[1]]); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and WORDS in done.stdout, done.stderr
