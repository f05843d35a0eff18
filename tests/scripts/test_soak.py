"""A short soak; `scripts/soak.py` is the long one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from soaks import kills, own_tables


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.soak
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bits(tmp_path):
    points = ["start-up", "half a metrics line", "half of last.pt", "evaluation", "end"]
    tally = kills.soak(tmp_path, points, seed=0, models=("ncnc",), epochs=2)
    assert tally.failures == []
    assert tally.kills == dict.fromkeys(points, 1)
    # What the comparison would say of a run that is not the same:
    whole, other = tmp_path / "ncnc", tmp_path / "ncnc-0"
    lines = (other / "metrics.jsonl").read_text().splitlines()
    (other / "metrics.jsonl").write_text("\n".join([*lines, lines[-1]]))
    summary = json.loads((other / "summary.json").read_text())
    (other / "summary.json").write_text(json.dumps({**summary, "best_epoch": 7}))
    shutil.copy(other / "checkpoints" / "best.pt", other / "checkpoints" / "last.pt")
    if summary["best_epoch"] == 2:
        shutil.copy(other / "checkpoints" / "last-1.pt", other / "checkpoints" / "last.pt")
    assert kills.differences(other, whole) == [
        "another best_epoch in summary.json", "another metrics.jsonl", "other weights in last.pt",
    ]  # fmt: skip


def test_every_point_is_hit_three_times_of_fifty():
    points = kills.schedule(50, seed=0)
    assert len(points) == 50
    assert all(points.count(point) == 3 for point in kills.POINTS)


def test_files_of_graphs_are_counted_by_their_kinds(tmp_path, monkeypatch):
    tally = own_tables.soak(tmp_path, files=12, seed=0)
    assert tally.failures == [] and len(tally.rows()) == 12
    assert sum(sum(row[2:]) for row in tally.rows()) == 12
    monkeypatch.setattr(own_tables, "outcome", lambda *given: ("wrong", "another graph"))
    failures = own_tables.soak(tmp_path, files=1, seed=0).failures
    assert failures == ["file 0 of seed 0 (two columns) is wrong: another graph"]
