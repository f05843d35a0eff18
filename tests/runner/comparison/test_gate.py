"""`--check`: exit code 0 (not lower), 1 (lower) or 2 (cannot be judged)."""

from __future__ import annotations

import json

import pytest
from scipy.stats import ttest_ind_from_stats
from tests.runner.comparison.conftest import PUBLISHED, write_run

from runner.comparison.collect import collect
from runner.comparison.gate import judge
from runner.comparison.groups import group


def fill(root, model, tests, published=PUBLISHED, **options):
    for seed, test in enumerate(tests):
        write_run(root, model, seed, test, published=published, **options)


def judged(root, alpha=0.05):
    runs = collect([root])
    return judge(group(runs), runs, alpha)


def test_a_mean_within_chance_or_above_passes(tmp_path, compare):
    fill(tmp_path, "ncn", (0.88, 0.885, 0.90))
    fill(tmp_path, "ncnc", (0.97, 0.98, 0.99))
    code, out, error = compare(tmp_path, "--check")
    assert code == 0 and out.count("not lower") == 2 and not error


def test_a_significantly_lower_mean_fails(tmp_path, compare):
    fill(tmp_path, "ncn", (0.88, 0.885, 0.90))
    fill(tmp_path, "ncnc", (0.80, 0.805, 0.81))
    code, out, _ = compare(tmp_path, "--check")
    assert code == 1 and "80.50 ± 0.50" in out and "89.00 ± 1.00" in out
    verdicts = {verdict.label: verdict for verdict in judged(tmp_path).verdicts}
    expected = ttest_ind_from_stats(
        80.5, 0.5, 3, 89, (10 / 9) ** 0.5, 10, equal_var=False, alternative="less"
    ).pvalue
    assert verdicts["ncnc"].p == pytest.approx(expected) and verdicts["ncnc"].lower
    assert verdicts["ncnc"].corrected == pytest.approx(2 * expected)
    assert not verdicts["ncn"].lower and verdicts["ncn"].p > 0.05


def test_many_rows_and_the_level_are_taken_into_account(tmp_path, compare):
    low = (0.874, 0.88, 0.886)  # one-sided p = 0.04 or so
    fill(tmp_path, "ncn", low)
    assert judged(tmp_path).verdicts[0].p == pytest.approx(0.04, abs=0.02)
    assert compare(tmp_path, "--check", "--alpha", "0.1")[0] == 1
    assert compare(tmp_path, "--check", "--alpha", "0.001")[0] == 0
    for other in ("a", "b", "c"):
        fill(tmp_path, other, (0.88, 0.89, 0.90))
    assert compare(tmp_path, "--check", "--alpha", "0.1")[0] == 0


@pytest.mark.parametrize("tests", [(0.1,), (0.1, 0.1)])
def test_fewer_than_three_seeds_are_not_judged(tmp_path, compare, tests):
    fill(tmp_path, "ncn", tests)
    code, _, error = compare(tmp_path, "--check")
    assert code == 2 and "cora ncn: " in error and "at least 3 are needed" in error
    fill(tmp_path, "ncnc", (0.88, 0.89, 0.90))
    assert compare(tmp_path, "--check")[0] == 2
    assert compare(tmp_path, "--check", "--where", "model=ncnc")[0] == 0


def test_repeats_of_a_seed_are_no_seeds(tmp_path, compare):
    for repeat in "abc":
        write_run(tmp_path, "ncn", 0, 0.89, name=repeat, published=PUBLISHED)
    code, _, error = compare(tmp_path, "--check")
    assert code == 2 and "1 seed;" in error


def test_a_model_that_should_have_been_judged_and_failed_does_not_pass(tmp_path, compare):
    fill(tmp_path, "ncn", (0.88, 0.89, 0.90))
    for seed in range(3):
        write_run(tmp_path, "ncnc", seed, 0.0, published=PUBLISHED, status="failed", error="no")
    code, _, error = compare(tmp_path, "--check")
    assert code == 2 and "cora ncnc: no finished run (3 failed)" in error
    assert compare(tmp_path, "--check", "--where", "status=done")[0] == 0


def test_a_failed_job_without_a_folder_does_not_pass(tmp_path, compare):
    fill(tmp_path, "ncn", (0.88, 0.89, 0.90))
    job = {"job": 7, "state": "failed", "folder": None, "parameters": {"model": "ncnc"}}
    (tmp_path / "ledger.jsonl").write_text(json.dumps(job) + "\n")
    code, _, error = compare(tmp_path, "--check")
    assert code == 2 and "ncnc: no finished run (1 failed)" in error


def test_models_without_a_published_figure_and_pruned_runs_do_not_matter(tmp_path, compare):
    fill(tmp_path, "ncn", (0.88, 0.89, 0.90))
    fill(tmp_path, "ncn2", (0.1,), published=None)
    write_run(tmp_path, "gae_cn", 0, 0.0, status="failed")
    write_run(tmp_path, "gae", 0, 0.0, status="pruned", published=PUBLISHED)
    assert compare(tmp_path, "--check")[0] == 0


def test_a_published_figure_without_spread_is_said_not_to_be_judged(tmp_path, compare):
    fill(tmp_path, "cn", (0.1, 0.1, 0.1), published={**PUBLISHED, "std": None})
    code, out, error = compare(tmp_path, "--check")
    assert code == 2 and "not judged: cora cn" in out and "nothing could be judged" in error
    fill(tmp_path, "ncn", (0.88, 0.89, 0.90))
    code, out, error = compare(tmp_path, "--check")
    assert code == 0 and "not judged: cora cn" in out


def test_an_unverified_figure_is_not_judged(tmp_path, compare):
    fill(tmp_path, "ncn", (0.1, 0.11, 0.12), published={**PUBLISHED, "unverified": True})
    fill(tmp_path, "ncnc", (0.97, 0.98, 0.99))
    code, out, _ = compare(tmp_path, "--check")
    assert code == 0 and "not judged: cora ncn: the published 89.00 is unverified" in out


def test_nothing_to_judge_is_no_pass(tmp_path, compare):
    fill(tmp_path, "ncn", (0.88, 0.89, 0.90), published=None)
    code, _, error = compare(tmp_path, "--check")
    assert code == 2 and "nothing could be judged" in error


@pytest.mark.parametrize(("test", "lower"), [(0.88, True), (0.89, False)])
def test_without_any_spread_the_figures_themselves_decide(tmp_path, test, lower):
    fill(tmp_path, "cn", (test,) * 3, published={**PUBLISHED, "std": 0.0})
    assert [verdict.lower for verdict in judged(tmp_path).verdicts] == [lower]


def test_a_job_of_unknown_dataset_is_covered_by_finished_runs_of_its_model(tmp_path, compare):
    fill(tmp_path, "ncn", (0.88, 0.89, 0.90))
    job = {"job": 7, "state": "pending", "folder": None, "parameters": {"model": "ncn"}}
    (tmp_path / "ledger.jsonl").write_text(json.dumps(job) + "\n")
    code, out, _ = compare(tmp_path, "--check")
    assert code == 0 and "left out: 1 pending" in out
