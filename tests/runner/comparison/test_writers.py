"""Markdown, CSV and LaTeX, all of them or none."""

from __future__ import annotations

import pandas
import pytest
from tests.runner.comparison.conftest import PUBLISHED, write_run


def test_the_command_writes_markdown_and_csv(root, tmp_path, compare):
    markdown, csv = tmp_path / "table.md", tmp_path / "table.csv"
    code, out, _ = compare(root, "--markdown", markdown, "--csv", csv)
    assert code == 0
    lines = markdown.read_text().splitlines()
    assert lines[0].split("|")[1].strip() == "dataset" and set(lines[1]) <= set("|:-")
    assert "**90.00 ± 2.00**" in lines[2] and "89.00 ± 1.00" in lines[2] and "+1.00" in lines[2]
    frame = pandas.read_csv(csv)
    assert frame["mean"].tolist() == pytest.approx([90, 80])
    assert {"p", "published_mean", "valid_std", "peak_memory_gib", "best"} <= set(frame)
    assert "90.00 ± 2.00" in out and "left out: 1 failed" in out
    assert "failed: " in out and "out of <memory>" in out


def test_markdown_has_the_pairs_and_no_cell_breaks_the_table(root, tmp_path, compare):
    for seed in range(3):
        write_run(root, "a|b", seed, 0.5 + seed / 10)
    file = tmp_path / "table.md"
    compare(root, "--markdown", file, "--pairs")
    text = file.read_text()
    assert "a\\|b" in text and "| paired |" in text.replace("  ", " ")


def test_latex_has_a_column_a_dataset_and_published_ones_beside(root, tmp_path, compare):
    write_run(root, "ncn", 0, 0.7, dataset="cite_seer")
    file = tmp_path / "table.tex"
    assert compare(root, "--latex", file)[0] == 0
    text = file.read_text()
    assert r"\toprule" in text and r"\bottomrule" in text and "±" not in text
    assert r"cite\_seer (hits@100)" in text
    (line,) = [line for line in text.splitlines() if line.startswith("ncn &")]
    assert r"\textbf{90.00 $\pm$ 2.00} & 89.00 $\pm$ 1.00" in line and "& 70.00" in line
    assert text.count(r"\textbf") == 1


def test_a_file_that_cannot_be_written_leaves_none(root, tmp_path, compare):
    good, bad = tmp_path / "a.md", tmp_path / "missing" / "b.csv"
    good.write_text("old")
    before = set(tmp_path.iterdir())
    code, _, error = compare(root, "--markdown", good, "--csv", bad)
    assert code == 2 and f"{bad}: cannot be written (No such file or directory)" in error
    assert good.read_text() == "old" and set(tmp_path.iterdir()) == before
    code, _, error = compare(root, "--latex", tmp_path)
    assert code == 2 and "Is a directory" in error


def test_contradicting_options_are_refused(root, tmp_path, compare):
    code, _, error = compare(root, "--csv", "a", "--html", "a")
    assert code == 2 and "two options write to this file" in error
    code, _, error = compare(root, "--diff", "a", "b", "--check")
    assert code == 2 and "nothing else" in error
    assert not (tmp_path / "a").exists()


def test_nothing_finished_writes_no_table(tmp_path, compare):
    write_run(tmp_path / "runs", "ncn", 0, 0.5, status="failed", published=PUBLISHED)
    code, _, error = compare(tmp_path / "runs", "--csv", tmp_path / "a.csv")
    assert code == 2 and "none of the runs is finished" in error
    assert not (tmp_path / "a.csv").exists()
