"""Generated run folders are such as `runner-compare` reads."""

from __future__ import annotations

from collections import Counter

from scripts.write_runs import MODELS, write_runs

from runner.comparison.collect import collect
from runner.comparison.importance import searches


def test_they_are_whole_realistic_and_hold_seeds_and_a_search(tmp_path):
    write_runs(tmp_path / "tree", 40)
    runs = collect([tmp_path / "tree"])
    assert Counter(run.status for run in runs) == {"done": 40} and not any(
        run.problem for run in runs
    )
    assert {run.model for run in runs} == set(MODELS)
    lines = [len((run.folder / "config.yaml").read_text().splitlines()) for run in runs]
    assert min(lines) > 120
    assert {len((run.folder / "metrics.jsonl").read_text().splitlines()) for run in runs} == {100}
    (search,) = searches(runs)
    assert {"train.lr_encoder", "model.dropout", "seed"} <= set(search.keys)
