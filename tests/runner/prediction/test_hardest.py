"""From the page of runner-compare to the explanation of a hard pair, in a real browser."""

from __future__ import annotations

import json

import pytest
from tests.browser import opened

from runner.cli.predict import main
from runner.comparison.cli import main as compare
from runner.comparison.hardest import FILE
from runner.storage.seal import read_json

LESMIS = ("dataset=lesmis", "model=ncn", "encoder.hidden=8", "train.epochs=2", "tracker=none")


def kept(folder) -> dict:
    return read_json((folder / FILE).read_text())


def test_a_run_keeps_the_hardest_pairs_of_its_best_epoch(copied, runner):
    folder = copied("run", *LESMIS)
    summary = json.loads((folder / "summary.json").read_text())
    assert kept(folder)["epoch"] == summary["best_epoch"]
    pairs = kept(folder)["pairs"]
    for label, sign in ((1, 1), (0, -1)):
        scores = [sign * pair["score"] for pair in pairs if pair["label"] == label]
        assert 0 < len(scores) <= 10 and scores == sorted(scores)
    assert {type(pair["source"]) for pair in pairs} == {str}
    (folder / FILE).unlink()
    assert runner(f"resume={folder}", "train.epochs=3")[0] == 0
    later = json.loads((folder / "summary.json").read_text())
    assert later["epochs"] == 3 and kept(folder)["epoch"] == later["best_epoch"]


def test_the_page_leads_to_an_explanation(copied, tmp_path, capsys):
    folder, page = copied("a run", *LESMIS), tmp_path / "page.html"
    assert main([str(folder), "--explain-hardest", "1"]) == 0
    files = [line.removeprefix("page: ") for line in capsys.readouterr().out.splitlines()[:-1]]
    assert len(files) == 2 and all(str(folder / "why") in file for file in files)
    assert compare([str(folder), "--html", str(page)]) == 0
    first = kept(folder)["pairs"][0]
    with opened(page, width=1200, linked=[folder / "why"]) as shown:
        assert not shown.locator("#hardest td a").first.is_visible()
        shown.locator("#hardest summary").click()
        assert shown.locator("#hardest td a").count() == 2
        shown.locator("#hardest td a").first.click()
        shown.wait_for_url("**/why-*.html")
        ends = shown.title()
        assert first["source"] in ends and first["target"] in ends


def test_what_stands_against_it(copied, capsys):
    folder = copied("run", *LESMIS)
    text = (folder / FILE).read_text()
    (folder / FILE).unlink()
    assert main([str(folder), "--explain-hardest", "1"]) == 1
    assert "it keeps no hardest pairs of its best epoch" in capsys.readouterr().err
    (folder / FILE).write_text(text)
    (folder / "why").write_text("a file in its place")
    assert main([str(folder), "--explain-hardest", "1"]) == 1
    assert "why: cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--explain-hardest", "0"], "--explain-hardest 0: it takes a whole number from 1"),
        (["--explain-hardest", "1", "--graph", "all"], "--graph: it belongs to"),
        (["--explain-hardest", "1", "--html", "a.html"], "--html: it belongs to --explain"),
    ],
)
def test_options_that_do_not_belong_to_it(arguments, message, capsys):
    assert main(["nowhere", *arguments]) == 1
    assert message in capsys.readouterr().err
