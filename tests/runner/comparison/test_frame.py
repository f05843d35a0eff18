"""`runner.compare`: the command's table as a DataFrame."""

from __future__ import annotations

import io
import logging

import pandas
import pytest
from tests.runner.comparison.conftest import write_run

import runner
from runner.errors import RunnerError


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, []),
        ({"where": "model=ncn"}, ["--where", "model=ncn"]),
        (
            {"where": ["model=ncn", "seed>=1"], "group_by": "seed"},
            ["--where", "model=ncn", "--where", "seed>=1", "--group-by", "seed"],
        ),
        ({"metric": "mrr", "group_by": ["epochs"]}, ["--metric", "mrr", "--group-by", "epochs"]),
    ],
)
def test_it_is_the_table_of_the_command(root, tmp_path, compare, options, arguments):
    code, _, err = compare(root, *arguments, "--csv", tmp_path / "a.csv")
    assert code == 0, err
    found = runner.compare(str(root), **options)
    text = io.StringIO(found.to_csv(index=False))
    pandas.testing.assert_frame_equal(
        pandas.read_csv(text), pandas.read_csv(tmp_path / "a.csv"), check_exact=True
    )
    pandas.testing.assert_frame_equal(runner.compare([root, root], **options), found)


def test_what_is_left_out_is_logged(root, caplog):
    write_run(root, "ncn", 0, 0.5, name="again")
    with caplog.at_level(logging.WARNING):
        runner.compare(root)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["left out: 1 failed", "left out: 1 repeated with the same seeds"]


def test_errors_are_the_sentences_of_the_command(root, tmp_path, compare):
    write_run(tmp_path / "bad", "ncn", 0, 0.0, status="failed")
    for folder, options, arguments in (
        (tmp_path / "nowhere", {}, []),
        (tmp_path / "bad", {}, []),
        (root, {"where": "model"}, ["--where", "model"]),
        (root, {"metric": "nope"}, ["--metric", "nope"]),
    ):
        with pytest.raises(RunnerError) as raised:
            runner.compare(folder, **options)
        assert compare(folder, *arguments)[2] == f"runner-compare: {raised.value}\n"
