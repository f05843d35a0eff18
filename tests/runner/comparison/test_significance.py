"""Pairwise tests and Holm's correction, against scipy used directly and figures by hand."""

from __future__ import annotations

import math

import pytest
from scipy.stats import ttest_ind, ttest_rel
from tests.runner.comparison.conftest import write_run

from runner.comparison.collect import collect
from runner.comparison.groups import group
from runner.comparison.significance import PAIRS_AMONG, holm, pairs

NCN, NCNC, GAE = (0.88, 0.90, 0.93, 0.91), (0.90, 0.91, 0.95, 0.94), (0.80, 0.88, 0.79)


def pairs_of(root):
    return {frozenset((pair.first, pair.second)): pair for pair in pairs(group(collect([root])))}


def fill(root, model, tests, first_seed=0, **options):
    for seed, test in enumerate(tests, first_seed):
        write_run(root, model, seed, test, **options)


def test_equal_seeds_are_paired(tmp_path):
    fill(tmp_path, "ncn", NCN)
    fill(tmp_path, "ncnc", NCNC)
    (pair,) = pairs_of(tmp_path).values()
    assert (pair.first, pair.second, pair.test, pair.runs) == ("ncnc", "ncn", "paired", "4")
    assert pair.p == pytest.approx(ttest_rel(NCNC, NCN).pvalue)
    assert pair.p != pytest.approx(ttest_ind(NCNC, NCN, equal_var=False).pvalue)
    assert pair.difference == pytest.approx(2.0) and pair.corrected == pair.p


def test_seeds_that_only_one_has_take_no_part_in_a_paired_test(tmp_path):
    fill(tmp_path, "ncn", (*NCN, 0.1))
    fill(tmp_path, "ncnc", NCNC)
    (pair,) = pairs_of(tmp_path).values()
    assert pair.p == pytest.approx(ttest_rel(NCNC, NCN).pvalue) and pair.runs == "4"


def test_other_seeds_are_tested_by_welch(tmp_path):
    fill(tmp_path, "ncn", NCN)
    fill(tmp_path, "gae", GAE, first_seed=2)  # two shared seeds are too few to pair
    (pair,) = pairs_of(tmp_path).values()
    assert (pair.test, pair.runs) == ("Welch", "4, 3")
    assert pair.p == pytest.approx(ttest_ind(NCN, GAE, equal_var=False).pvalue)


def test_equal_seeds_in_another_order_belong_together(tmp_path):
    fill(tmp_path, "ncn", NCN)
    for place, seed in enumerate((3, 1, 0, 2)):
        write_run(tmp_path / str(place), "ncnc", seed, NCNC[seed])
    (pair,) = pairs_of(tmp_path).values()
    assert pair.p == pytest.approx(ttest_rel(NCNC, NCN).pvalue)


def test_rows_with_several_runs_of_a_seed_are_not_paired(tmp_path):
    for model, tests in (("ncn", NCN), ("ncnc", NCNC)):
        for number in range(2):
            name, rate = f"-{number}", {"train.lr_encoder": number}
            fill(tmp_path, model, tests, name=name, experiment=f"e{number}", settings=rate)
    (pair,) = pairs(group(collect([tmp_path]), keys=["model"]))
    assert (pair.test, pair.runs) == ("Welch", "8, 8")
    assert pair.p == pytest.approx(ttest_ind(2 * NCNC, 2 * NCN, equal_var=False).pvalue)


def test_the_correction_is_over_the_pairs_of_a_dataset(tmp_path):
    for model, tests in (("ncn", NCN), ("ncnc", NCNC), ("gae", GAE)):
        fill(tmp_path, model, tests)
        fill(tmp_path, model, tests, dataset="citeseer")
    found = pairs(group(collect([tmp_path])))
    assert len(found) == 6
    for dataset in ("cora", "citeseer"):
        of = [pair for pair in found if pair.dataset == dataset]
        assert [pair.corrected for pair in of] == holm([pair.p for pair in of])
        assert max(pair.corrected / pair.p for pair in of) == pytest.approx(3)


def test_holm_by_hand():
    # Sorted .01, .02, .03, .04 times 4, 3, 2, 1, never falling.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []
    corrected = holm([math.nan, 0.01, 0.02])
    assert math.isnan(corrected[0]) and corrected[1:] == pytest.approx([0.02, 0.02])


@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_without_any_spread_there_is_no_p(tmp_path, shift):
    fill(tmp_path, "cn", (0.5, 0.25, 0.125))
    fill(tmp_path, "aa", (0.5 + shift, 0.25 + shift, 0.125 + shift))
    (pair,) = pairs_of(tmp_path).values()
    assert math.isnan(pair.p) and math.isnan(pair.corrected)
    assert pair.difference == pytest.approx(100 * shift)


def test_a_single_run_is_not_tested_and_of_many_rows_the_best_are(tmp_path):
    for number in range(PAIRS_AMONG + 2):
        fill(tmp_path, f"m{number}", (number / 20, number / 20 + 0.01))
    write_run(tmp_path, "single", 0, 0.99)
    found = pairs_of(tmp_path)
    assert len(found) == PAIRS_AMONG * (PAIRS_AMONG - 1) / 2
    assert not {"m0", "m1", "single"} & frozenset.union(*found)


def test_the_command_prints_pairs(root, compare):
    fill(root, "ncnc", (0.95, 0.96, 0.99))
    code, out, _ = compare(root, "--pairs")
    assert code == 0 and "paired" in out and "p (Holm)" in out
    assert "no pairs" in compare(root / "cora" / "ncn", "--pairs")[1]
