"""Models of finished runs, which learn from a share of validation: whole runs of them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

import runner as public
from runner.data.link_data import EvaluationSplit
from runner.data.validation_share import judged_splits
from runner.errors import RunnerError
from runner.storage.seal import read_json
from runner.training.negatives import ValidationNegatives

COMMON = ("dataset=lesmis", "tracker=none", "hardware.threads=1")
NCN = ("model=ncn", *COMMON, "train.epochs=3", "run.keep_scores=true")
AA = ("model=aa", *COMMON, "run.keep_scores=true")


@pytest.fixture
def mixed(made_once):
    """The arguments of a mixture of two runs of a seed."""

    def arguments(seed=0, *others):
        runs = [str(made_once(*of, f"seed={seed}")) for of in (NCN, AA)]
        given = f"model.runs=[{','.join(runs)}]", f"seed={seed}", "train.epochs=4", *others
        return "model=mixture", *COMMON, *given

    return arguments


def record(folder, name):
    return read_json((folder / name).read_text())


def rows(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if "second" not in k and "gib" not in k} for row in found]


def test_validation_is_cut_and_every_pair_is_in_one_part():
    parts = {
        "valid": EvaluationSplit(torch.arange(40).view(2, 20), torch.arange(60).view(2, 30)),
        "test": None,
    }
    data = SimpleNamespace(judged=parts)

    judged, learned = judged_splits(data, 0.8, 0)
    left = judged["valid"]
    assert (learned.positive.shape[1], left.positive.shape[1]) == (16, 4)
    assert (learned.negative.shape[1], left.negative.shape[1]) == (24, 6)
    for side, count in (("positive", 20), ("negative", 30)):
        both = torch.cat([getattr(learned, side), getattr(left, side)], 1)
        assert both[0].sort().values.tolist() == list(range(count))
    again = judged_splits(data, 0.8, 0)[1]
    assert torch.equal(again.positive, learned.positive)
    assert not torch.equal(judged_splits(data, 0.8, 1)[1].positive, learned.positive)
    assert judged_splits(data, None, 0) == (parts, None)
    with pytest.raises(RunnerError, match=r"objective\.share=0\.01"):
        judged_splits(data, 0.01, 0)


def test_negatives_of_a_link_stay_its_own():
    own = torch.arange(2 * 6 * 5).view(2, 6, 5)
    split = EvaluationSplit(torch.arange(12).view(2, 6), own)

    data = SimpleNamespace(judged={"valid": split, "test": None})

    _, learned = judged_splits(data, 0.5, 0)
    number = learned.positive[0]
    assert torch.equal(learned.negative, own[:, number])
    sampler = ValidationNegatives(per_positive=2)
    sampler.given = learned.negative
    drawn = sampler.epoch(None, learned.positive, torch.Generator().manual_seed(0))
    assert drawn.shape == (2, 3, 2)
    assert bool((drawn[0] // 5 == number.unsqueeze(1)).all())
    shared = ValidationNegatives()
    shared.given = torch.arange(8).view(2, 4)
    drawn = shared.epoch(None, torch.zeros(2, 4), torch.Generator().manual_seed(0))
    assert drawn[0].sort().values.tolist() == [0, 1, 2, 3]


def test_a_run_like_any_other(made_once, mixed):
    folder = made_once(*mixed())
    summary, meta = record(folder, "summary.json"), record(folder, "meta.json")
    assert summary["learned_from_validation"] == 0.8
    assert all(audit["passed"] for audit in summary["audits"].values())
    assert (meta["sizes"]["valid_links"], meta["sizes"]["valid_negatives"]) == (5, 10)
    assert "learned_from_validation" not in record(made_once(*NCN, "seed=0"), "summary.json")
    log = (folder / "run.log").read_text()
    assert (
        "20 of 25 validation links are learned from; figures of validation are of the other 5"
        in log
    )


def test_repeats_are_those_of_the_same_models(made_once, mixed):
    folders = [made_once(*mixed(seed)) for seed in (0, 1)]
    assert len({record(folder, "meta.json")["experiment"] for folder in folders}) == 1
    assert folders[0] != folders[1]


def test_stopped_and_resumed_to_the_same_bits(runner, made_once, mixed, tmp_path):
    code, _, err = runner(*mixed(0, "train.epochs=2"), "hydra.run.dir=cut")
    assert code == 0, err
    code, _, err = runner(f"resume={tmp_path / 'cut'}", "train.epochs=4")
    assert code == 0, err
    assert rows(tmp_path / "cut") == rows(made_once(*mixed()))


def test_runs_of_another_seed_are_refused(runner, mixed):
    first, second = (next(a for a in mixed(seed) if "runs=" in a) for seed in (0, 1))
    arguments = [a for a in mixed(0) if "runs=" not in a]
    code, _, err = runner(*arguments, second)
    assert code == 1 and "model.runs: " in err and "another seed" in err
    one_each = f"{first.rpartition(',')[0]},{second.rpartition(',')[2]}"
    code, _, err = runner(*arguments, one_each)
    assert code == 1 and "model.runs: " in err and "give runs of one split" in err


def test_what_does_not_go_together_is_refused(runner, made_once, mixed):
    code, _, err = runner(*NCN, "objective=validation")
    assert code == 1 and "model=mixture, objective=validation and negatives=validation" in err
    code, _, err = runner(*mixed(0, "negatives=non_edges"))
    assert code == 1 and "negatives: runner.training.negatives.UniformNonEdges does not fit" in err
    code, _, err = runner(*mixed(0, "run.node_report=true"))
    assert code == 1 and "run.node_report=true: this model scores the pairs" in err
    code, _, err = runner("model=mixture", *COMMON)
    assert code == 1 and "model.runs: a value is needed" in err


def test_its_scores_may_not_be_mixed_again(runner, made_once, mixed):
    folder = made_once(*mixed(0, "run.keep_scores=true"))
    other = made_once(*AA, "seed=0")
    code, _, err = runner(
        "model=mixture", *COMMON, "seed=0", f"model.runs=[{other},{folder}]", "hydra.run.dir=again"
    )
    assert code == 1 and "has learned from links of validation itself" in err


def test_in_use_it_scores_what_the_runs_have_scored(made_once, mixed):
    folder = made_once(*mixed())
    run = public.load(folder)
    found, summary = run.evaluate(), record(folder, "summary.json")
    for split in ("valid", "test"):
        assert found[split] == pytest.approx(summary[split])
    with pytest.raises(RunnerError, match="have not scored"):
        run.top("Valjean", 3, include_known=True)


def test_an_export_tells_no_places_of_the_runs(made_once, mixed, tmp_path):
    folder = made_once(*mixed())
    public.load(folder).export(tmp_path / "shared")
    text = (tmp_path / "shared" / "config.yaml").read_text()
    assert "lesmis-ncn-" in text and str(folder.parent.parent) not in text
