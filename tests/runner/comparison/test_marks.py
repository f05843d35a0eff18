"""Marks of rows: in every output, and in the gate."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from tests.runner.comparison.conftest import PUBLISHED, write_run

from runner.storage.seal import read_json, sealed_json

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
        rows = {row["setting"]: (row["marks"], row["objections"]) for row in csv.DictReader(file)}
    reason = "scores depend on the batch (in 2 of 3 runs)"
    assert rows == {"ncn": ("company", f"[company]: {reason}"), "ncn2": ("", "")}
    assert f"% ncn on cora: [company]: {reason}\n" in files["latex"].read_text()
    for kind in kinds[1:]:
        text = files[kind].read_text()
        assert len(re.findall(r"90\.00 .{1,6} 2\.00 \[company\]", text)) == 1, kind
    assert "scores depend on the batch" in files["html"].read_text()


def test_the_csv_has_all_that_differs_and_all_objections(tmp_path, compare):
    differs = [{"key": f"train.k{i}", "value": i, "published": -1} for i in range(8)]
    write_run(tmp_path / "runs", "ncn", 0, 0.9, published=PUBLISHED, audits=LEAKS, differs=differs)
    table, tex = tmp_path / "table.csv", tmp_path / "table.tex"
    compare(tmp_path / "runs", "--csv", table, "--latex", tex)
    with open(table) as file:
        (row,) = csv.DictReader(file)
    assert row["differs"] == "; ".join(f"train.k{i} {i}, published -1" for i in range(8))
    both = row["objections"]
    assert both.startswith("[setting]: not the published setting: train.k0 0, published -1; ")
    assert both.endswith("; and 2 more; [company]: scores depend on the batch")
    assert f"% ncn on cora: {both}\n" in tex.read_text()


def test_the_gate_refuses_a_marked_row(marked, compare):
    code, out, err = compare(marked, "--check")
    assert code == 2
    assert "cannot judge cora ncn: scores depend on the batch" in err
    judged = [line for line in out.splitlines() if "lower" in line]
    assert len(judged) == 1 and "ncn2" in judged[0]


def test_runs_without_audits_have_no_marks(root, compare):
    code, out, _ = compare(root, "--check")
    assert code == 0
    assert "[" not in out


def test_an_audit_that_was_not_made_is_a_note_and_no_mark(tmp_path, compare):
    for seed in range(3):
        audits = {"company": {"passed": None}} if seed else FINE
        write_run(tmp_path / "runs", "ncn", seed, 0.9, published=PUBLISHED, audits=audits)
    for options in ((), ("--check",)):
        code, out, _ = compare(tmp_path / "runs", *options)
        assert code == 0 and "[" not in out
        assert "note: cora ncn: the audit of company was not made in 2 of 3 runs" in out


def test_of_many_audits_that_were_not_made_some_are_told(tmp_path, compare):
    for number in range(22):
        write_run(tmp_path, f"m{number}", 0, 0.9, audits={"company": {"passed": None}})
    _, out, _ = compare(tmp_path)
    assert out.count("was not made") == 20 and "2 more audits that were not made" in out


def test_visible_targets_and_the_selection_are_columns(tmp_path, compare):
    visible = {"training": {"passed": True, "targets_visible": "encoder"}}
    folder = write_run(tmp_path / "runs", "ncn", 0, 0.9, audits=visible, epochs=2)
    summary = read_json((folder / "summary.json").read_text())
    selection = {"evaluations": 7, "epochs": 14, "last": {"evaluations": 1, "test": {"mrr": 0.25}}}
    selection["last"]["test"]["hits@100"] = 0.75
    (folder / "summary.json").write_text(sealed_json({**summary, "selection": selection}))
    _, out, _ = compare(tmp_path / "runs", "--csv", tmp_path / "csv", "--html", tmp_path / "html")
    with open(tmp_path / "csv") as file:
        (row,) = csv.DictReader(file)
    assert row["targets_visible"] == "encoder" and row["marks"] == ""
    assert float(row["evaluations"]) == 7 and float(row["last_mean"]) == 75
    assert "ncn was trained on targets that stay visible to encoder" in out
    assert "75.00</td>" in (tmp_path / "html").read_text()


def test_audits_made_later_count_while_the_best_epoch_is_the_same(tmp_path, compare):
    folder = write_run(tmp_path / "runs", "ncn", 0, 0.9, epochs=2)
    for epoch, expected in ((2, True), (1, False)):
        later = {"best_epoch": epoch, "audits": LEAKS}
        (folder / "audits.json").write_text(sealed_json(later))
        assert ("[company]" in compare(tmp_path / "runs")[1]) == expected
    (folder / "audits.json").write_text("{")
    _, out, _ = compare(tmp_path / "runs")
    assert "audits.json is damaged" in out and "[company]" not in out


def test_a_later_audit_that_was_not_made_lifts_no_mark(tmp_path, compare):
    write_run(tmp_path / "runs", "ncn", 0, 0.9, epochs=2, audits=LEAKS)
    kept = next(tmp_path.rglob("summary.json")).with_name("audits.json")
    for company, expected in (({"passed": None}, True), ({"passed": True}, False)):
        later = {"best_epoch": 2, "audits": {"company": company}}
        kept.write_text(sealed_json(later))
        assert ("[company]" in compare(tmp_path / "runs")[1]) == expected
