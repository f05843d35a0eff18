"""Which runs make a row, and what it is called."""

from __future__ import annotations

import pytest
from tests.runner.comparison.conftest import PUBLISHED, write_run

from runner.comparison.collect import collect
from runner.comparison.groups import group
from runner.errors import RunnerError


def labels(root, **options):
    return {of.label: len(of.runs) for of in group(collect([root]), **options)}


def settings_of(root, *many, seeds=2, **options):
    for number, settings in enumerate(many):
        for seed in range(seeds):
            write_run(
                root, "ncn", seed, 0.5, name=f"-{number}", experiment=f"cora-ncn-{number}",
                settings=settings, **options,
            )  # fmt: skip


def test_a_seed_counts_once_and_other_settings_are_another_row(root, compare):
    write_run(root, "ncn", 0, 0.94, name="-later", published=PUBLISHED)
    write_run(root, "ncn", 7, 0.50, published=PUBLISHED, experiment="cora-ncn-bb")
    groups = {of.experiment: of for of in group(collect([root, root / "cora"]))}
    assert groups["cora-ncn-aa"].tests == pytest.approx([94, 90, 92])
    assert groups["cora-ncn-aa"].repeated == 1 and len(groups["cora-ncn-bb"].runs) == 1
    assert "left out: 1 repeated with the same seeds" in compare(root)[1]


def test_a_row_is_told_by_the_keys_in_which_it_differs(tmp_path):
    same = {"hardware.threads": 4, "run.cache": "elsewhere"}
    settings_of(tmp_path, {"train.lr_encoder": 0.1}, {"train.lr_encoder": 0.001, **same})
    assert labels(tmp_path) == {"ncn lr_encoder=0.1": 2, "ncn lr_encoder=0.001": 2}


def test_a_key_that_others_end_with_too_keeps_more_of_its_name_and_copies_count_once(tmp_path):
    changed = {"train.batch_size": 32, "sampler.batch_size": 32}
    settings_of(tmp_path, {}, changed)
    assert labels(tmp_path) == {"ncn train.batch_size=64": 2, "ncn train.batch_size=32": 2}


def test_an_option_of_a_group_is_told_by_the_name_of_its_class(tmp_path):
    settings_of(tmp_path, {}, {"sampler._target_": "runner.training.samplers.Plain"})
    assert "ncn sampler._target_=Plain" in labels(tmp_path)


def test_too_many_differences_leave_the_digest(tmp_path):
    settings_of(tmp_path, {}, {f"model.{key}": ord(key) for key in "abcde"})
    assert set(labels(tmp_path)) == {"ncn 0", "ncn 1"}


def test_rows_that_differ_in_nothing_known_are_told_by_the_digest(root):
    write_run(root, "ncn", 7, 0.50, experiment="cora-ncn-bb")
    assert set(labels(root)) == {"ncn aa", "ncn bb", "ncn2"}


def test_group_by_makes_a_row_a_value_and_says_what_is_mixed(tmp_path, compare):
    settings = [
        {"model.completion.alpha": alpha, "train.lr_encoder": rate}
        for alpha in (0.5, 1.0)
        for rate in (0.1, 0.01)
    ]
    settings_of(tmp_path, *settings)
    assert labels(tmp_path, keys=["model.completion.alpha"]) == {
        "ncn alpha=0.5": 4,
        "ncn alpha=1": 4,
    }
    code, out, _ = compare(tmp_path, "--group-by", "alpha")
    assert code == 0 and "mixed: cora ncn alpha=0.5" in out and "train.lr_encoder" in out
    assert labels(tmp_path, keys=["alpha", "lr_encoder"])["ncn alpha=1 lr_encoder=0.1"] == 2
    assert labels(tmp_path, keys=["model"]) == {"ncn": 8}


def test_runs_without_a_key_make_a_row_of_their_own(tmp_path):
    settings_of(tmp_path, {"model.extra": 1}, {})
    assert labels(tmp_path, keys=["model.extra"]) == {"ncn extra=1": 2, "ncn extra=absent": 2}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("model.completion.alhpa", "did you mean model.completion.alpha"),
        ("batch_size", "several config keys end so; write sampler.batch_size or train.batch_size"),
        ("model.completion", "group of config keys; write model.completion.alpha"),
        ("zzz", "runner --cfg job"),
    ],
)
def test_an_unknown_key_is_one_clear_error(root, compare, key, message):
    code, out, error = compare(root, "--group-by", key)
    assert code == 2 and f"--group-by {key}: " in error and message in error and not out


def test_another_metric_can_be_compared(root):
    (ncn, _) = group(collect([root]), metric="mrr")
    assert ncn.metric == "mrr" and ncn.tests == [50, 50, 50]
    with pytest.raises(RunnerError, match=r"--metric mmr: .* choose hits@100, mrr"):
        group(collect([root]), metric="mmr")


def test_a_datasets_published_column_makes_no_ending_ambiguous(tmp_path):
    settings_of(tmp_path, {"protocol.tuned": {"train": {"lr_encoder": 0.5}}})
    assert labels(tmp_path, keys=["lr_encoder"]) == {"ncn lr_encoder=0.01": 2}
