from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark.py"


def run(tmp_path, *arguments):
    environment = {**os.environ, "RUNNER_DATA": str(tmp_path / "nothing"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout


@pytest.mark.soak
def test_steps_of_a_small_graph_and_what_is_missing(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text("# Title\n\n<!-- scripts/benchmark.py -->\nold\n<!-- end -->\n\nkept\n")
    small = ("--models", "ncnc", "--scale", "0.08", "--repeats", "1", "--threads", "1")
    out = run(tmp_path, "steps", *small, "--write", str(document))
    rows = [line.split("|") for line in out.splitlines() if "| ncnc" in line]
    by_graph = {row[1].strip(): [cell.strip() for cell in row[3:-1]] for row in rows}
    assert "no " in by_graph["cora"][0]
    seconds, units, shares, memory = by_graph["collab-shaped"][:4]
    assert float(seconds) > 0 and float(units) > 0 and 0.1 < float(memory) < 8
    assert "predictor" in shares and "backward" in shares
    text = document.read_text()
    assert text.startswith("# Title") and text.endswith("kept\n")
    assert "collab-shaped" in text and "old" not in text


@pytest.mark.soak
def test_reading_of_a_small_table(tmp_path):
    out = run(tmp_path, "reading", "--millions", "0.02", "--repeats", "1", "--threads", "1")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in out.splitlines()
        if line.startswith(("| numbers", "| names"))
    ]
    assert [row[0] for row in rows] == ["numbers", "names"]
    for row in rows:
        assert all(float(cell) >= 0 for cell in row[1:])


@pytest.mark.soak
def test_prediction_on_small_graphs(tmp_path):
    small = ("--models", "ncn", "--scale", "0.005", "--repeats", "1", "--threads", "1")
    out = run(tmp_path, "predict", *small)
    tables = [part.splitlines() for part in out.split("\n\n") if part.startswith("|")]
    scoring, whole, start = (
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in (table[0], *table[2:])]
        for table in tables
    )
    assert scoring[1][:2] == ["one like it", "ncn"] and float(scoring[1][-1]) > 0
    assert [row[0] for row in whole] == ["graph", "one like it", "collab-shaped"]
    assert all(float(row[whole[0].index("top_links, s")]) > 0 for row in whole[1:])
    assert start[0][0] == "import torch" and all(float(cell) > 0 for cell in start[1])


@pytest.mark.soak
def test_ranking_on_a_small_graph(tmp_path):
    small = ("--models", "ncn", "--scale", "0.02", "--repeats", "1", "--threads", "1")
    out = run(tmp_path, "ranking", *small)
    (row,) = [line.split("|")[1:-1] for line in out.splitlines() if line.startswith("| ncn")]
    assert all(float(cell) > 0 for cell in row[1:])
