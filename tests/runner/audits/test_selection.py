from __future__ import annotations

import json

from runner.audits.selection import selection_of


def write(path, epochs, every):
    rows = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "loss": 1.0}
        if epoch % every == 0:
            row |= {"valid/mrr": 0.1, "test/mrr": epoch / 100, "test/hits@1": 1.0}
        rows.append(json.dumps(row))
    path.write_text("\n".join(rows) + "\n")
    return path


def test_looks_at_the_test_and_the_mean_of_the_last_tenth(tmp_path):
    found = selection_of(write(tmp_path / "metrics.jsonl", 41, 2), "mrr")
    assert found["evaluations"] == 20 and found["epochs"] == 40
    assert found["last"]["evaluations"] == 2
    assert found["last"]["test"] == {"mrr": (0.40 + 0.38) / 2, "hits@1": 1.0}


def test_a_few_evaluations_have_one_last(tmp_path):
    found = selection_of(write(tmp_path / "metrics.jsonl", 3, 1), "mrr")
    assert found["last"] == {"evaluations": 1, "test": {"mrr": 0.03, "hits@1": 1.0}}


def test_without_evaluation_there_is_none(tmp_path):
    path = write(tmp_path / "metrics.jsonl", 3, 5)
    assert selection_of(path, "mrr") is None and selection_of(path, None) is None


def test_the_last_are_those_of_the_last_phase(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [{"epoch": e, "phase": 1 + (e > 38), "test/mrr": e / 100} for e in range(1, 41)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    found = selection_of(path, "mrr")
    assert found["evaluations"] == found["epochs"] == 40
    assert found["last"] == {"evaluations": 1, "test": {"mrr": 0.40}}
