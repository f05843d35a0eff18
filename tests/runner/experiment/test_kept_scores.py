"""scores.npz: written at the end of a run that is asked for it, and read again."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch

from runner.storage import kept_scores
from runner.storage.seal import Damaged, read_json
from runner.training.evaluator import RankingEvaluator
from runner.training.named_metrics import parse_metric

PLAIN = ("model=ncn", "dataset=lesmis", "tracker=none", "train.epochs=6", "hardware.threads=1")
SETTING = (*PLAIN, "run.keep_scores=true")


def record(folder, name):
    return read_json((folder / name).read_text())


def test_they_give_the_metrics_of_the_summary(made_once):
    folder = made_once(*SETTING)
    kept, summary = kept_scores.read(folder), record(folder, "summary.json")
    assert kept.facts.epoch == summary["best_epoch"] < summary["epochs"]
    assert kept.facts.data == record(folder, "meta.json")["data"]["fingerprint"]
    assert kept.facts.failed_audits == [] and len(summary["audits"]) == 3
    assert not kept.facts.learned_from_validation and not kept.facts.normalises_pairs
    for split in ("valid", "test"):
        sides = [torch.from_numpy(kept.scores[split, side]) for side in kept_scores.SIDES]
        assert all(scores.dtype == torch.float32 for scores in sides)
        for name, value in summary[split].items():
            assert parse_metric(name)(*sides) == pytest.approx(value)
        for side in kept_scores.SIDES:
            assert kept.pairs[split, side].shape == (2, len(kept.scores[split, side]))


def test_they_are_no_part_of_what_a_run_is_and_change_no_figure(made_once):
    with_scores, without = made_once(*SETTING), made_once(*PLAIN)
    assert not (without / kept_scores.FILE).exists()
    one, other = (record(folder, "meta.json") for folder in (with_scores, without))
    assert one["experiment"] == other["experiment"]
    one, other = (record(folder, "summary.json") for folder in (with_scores, without))
    assert (one["valid"], one["test"]) == (other["valid"], other["test"])


def test_stopped_within_it_a_resume_writes_the_same(runner, tmp_path, monkeypatch, made_once):
    original = RankingEvaluator.scores

    def scores(*arguments):
        signal.raise_signal(signal.SIGUSR1)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RankingEvaluator, "scores", scores)
        code, out, _ = runner(*SETTING, "hydra.run.dir=cut")
    cut = tmp_path / "cut"
    assert code == 130 and f"runner resume={cut}" in out
    assert not (cut / kept_scores.FILE).exists()
    code, _, err = runner(f"resume={cut}")
    assert code == 0, err
    found, expected = kept_scores.read(cut), kept_scores.read(made_once(*SETTING))
    for key, scores in expected.scores.items():
        np.testing.assert_array_equal(found.scores[key], scores)


def test_a_changed_byte_is_noticed(copied):
    folder = copied("damaged", *SETTING)
    content = bytearray((folder / kept_scores.FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / kept_scores.FILE).write_bytes(content)
    with pytest.raises(Damaged):
        kept_scores.read(folder)


def test_without_evaluation_there_is_nothing_to_keep(runner):
    code, _, err = runner(*SETTING, "evaluator=none")
    assert code == 1 and "run.keep_scores=true: with evaluator=none" in err
