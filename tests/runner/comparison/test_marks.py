"""Marks of rows: in every output, and in the gate."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from tests.runner.comparison.conftest import PUBLISHED, write_run

FINE = {"company": {"passed": True, "difference": 0.0}}
LEAKS = {"company": {"passed": False, "difference": 0.3}, "knowledge": {"passed": True}}


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """Three seeds of ncn, of which two fail an audit, and three of ncn2 that pass."""
    for seed, test in enumerate((0.88, 0.90, 0.92)):
        audits = LEAKS if seed else FINE
        write_run(tmp_path / "runs", "ncn", seed, test, published=PUBLISHED, audits=audits)
        write_run(tmp_path / "runs", "ncn2", seed, test, published=PUBLISHED, audits=FINE)
    return tmp_path / "runs"


def test_a_failed_audit_stands_in_every_output(marked, tmp_path, compare):
    kinds = ("csv", "markdown", "latex", "html")
    files = {kind: tmp_path / kind for kind in kinds}
    options = [word for kind, path in files.items() for word in (f"--{kind}", path)]
    code, out, _ = compare(marked, *options)
    assert code == 0
    assert "[company]: cora ncn: scores depend on the batch (in 2 of 3 runs)" in out
    with open(files["csv"]) as file:
        rows = {row["setting"]: row["marks"] for row in csv.DictReader(file)}
    assert rows == {"ncn": "company", "ncn2": ""}
    for kind in kinds[1:]:
        text = files[kind].read_text()
        assert len(re.findall(r"90\.00 .{1,6} 2\.00 \[company\]", text)) == 1, kind
    assert "scores depend on the batch" in files["html"].read_text()


def test_the_gate_refuses_a_marked_row(marked, compare):
    code, out, err = compare(marked, "--check")
    assert code == 2
    assert "cannot judge cora ncn: scores depend on the batch" in err
    assert "ncn2" in out


def test_runs_without_audits_have_no_marks(root, compare):
    code, out, _ = compare(root, "--check")
    assert code == 0
    assert "[" not in out


def test_an_audit_that_was_not_possible_is_no_mark(tmp_path, compare):
    write_run(tmp_path / "runs", "ncn", 0, 0.9, audits={"company": {"passed": None}})
    assert "[" not in compare(tmp_path / "runs")[1]
