"""The hardest pairs of a run, in its folder and on the page."""

from __future__ import annotations

import os
import re
import shlex
from html import unescape

import pytest
from tests.runner.comparison.conftest import write_run

from runner.comparison import hardest
from runner.storage.seal import sealed_json

HOSTILE = '<img src=x onerror="alert(1)">'
NAMES = ["it's $(rm)", "a b", HOSTILE, "line\nbreak"]


def keep(folder, *pairs: tuple[str, str, int], epoch: int = 4):
    rows = [(*pair, 0.5, 3, 4, 5) for pair in pairs]
    (folder / hardest.FILE).write_text(sealed_json(hardest.content(epoch, hardest.COLUMNS, rows)))


def section(root, tmp_path, compare, *options) -> str:
    file = tmp_path / "pages" / "page.html"
    file.parent.mkdir(exist_ok=True)
    code, _, error = compare(root, "--html", file, *options)
    assert code == 0, error
    found = re.search(r'<section id="hardest">.*?</section>', file.read_text(), re.DOTALL)
    return found[0] if found else ""


def commands(text: str) -> list[list[str]]:
    return [shlex.split(unescape(code)) for code in re.findall("<code>(.*?)</code>", text, re.S)]


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "runs", "ncn", 0, 0.9, epochs=4)


def test_the_hardest_of_either_kind_are_kept_and_read_for_their_weights(folder):
    keep(folder, *[(str(i), "x", label) for label in (1, 0) for i in range(50)])
    pairs = hardest.hardest_pairs(folder, 4)
    assert [pair["label"] for pair in pairs] == [1] * hardest.KEPT + [0] * hardest.KEPT
    assert [pair["source"] for pair in pairs[: hardest.KEPT]] == [*map(str, range(hardest.KEPT))]
    assert hardest.hardest_pairs(folder, 5) == []
    text = (folder / hardest.FILE).read_text()
    (folder / hardest.FILE).write_text(text.replace('"x"', '"y"'))
    assert hardest.hardest_pairs(folder, 4) == []


@pytest.mark.parametrize(
    "break_it",
    [
        lambda pair: pair.pop("score"), lambda pair: pair.pop("source degree"),
        lambda pair: pair.update(score="high"), lambda pair: pair.update(source=1),
    ],
)  # fmt: skip
def test_a_malformed_pair_costs_the_section_alone(folder, tmp_path, compare, break_it):
    rows = [("a", "b", label, 0.5, 3, 4, 5) for label in (1, 0)]
    content = hardest.content(4, hardest.COLUMNS, rows)
    break_it(content["pairs"][1])
    (folder / hardest.FILE).write_text(sealed_json(content))
    assert section(folder, tmp_path, compare) == ""


@pytest.mark.parametrize("pairs", [None, [None], ["ab"], 3])
def test_a_file_without_a_list_of_pairs_has_none(folder, pairs):
    (folder / hardest.FILE).write_text(sealed_json({"epoch": 4, "pairs": pairs}))
    assert hardest.hardest_pairs(folder, 4) == []


def test_a_run_without_them_has_no_section(folder, tmp_path, compare):
    assert section(folder, tmp_path, compare) == ""
    keep(folder, ("a", "b", 1), epoch=3)  # a resume has found better weights since
    assert section(folder, tmp_path, compare) == ""


def test_a_command_that_a_shell_reads_as_it_is_meant(folder, tmp_path, compare):
    keep(folder, (NAMES[0], NAMES[1], 1), (NAMES[2], NAMES[3], 0), ("-x", "a", 0))
    text = section(folder, tmp_path, compare)
    every = ["runner-predict", str(folder), "--explain-hardest", "5"]
    explain = ["runner-predict", str(folder), "--explain"]
    assert commands(text) == [
        every, [*explain, *NAMES[:2], "--html", "why.html"],
        [*explain, *NAMES[2:], "--html", "why.html"],
        every,  # -x would be read as an option
    ]  # fmt: skip
    assert "<img" not in text and "href" not in text


def test_a_pair_links_to_its_explanation(tmp_path, compare):
    folder = write_run(tmp_path / "javascript:a #1", "ncn", 0, 0.9, epochs=4)
    keep(folder, ("a", HOSTILE, 1), ("c", "d", 0))
    file = hardest.explanation_file(folder, 4, {"source": "a", "target": HOSTILE})
    file.parent.mkdir()
    file.write_text("why")
    text = section(folder, tmp_path, compare)
    (link,) = re.findall('href="(.*?)"', text)
    assert link.startswith("../javascript%3Aa%20%231/cora/ncn/0/why/why-")
    assert len(commands(text)) == 2
    other = hardest.explanation_file(folder, 5, {"source": "a", "target": HOSTILE})
    assert other != file and other.parent == file.parent


def test_the_run_is_the_best_by_validation(tmp_path, compare):
    for seed, (valid, test) in enumerate([(0.5, 0.9), (0.7, 0.6), (0.6, 0.8)]):
        folder = write_run(tmp_path / "runs", "ncn", seed, test, valid=valid, epochs=4)
        keep(folder, (f"of seed {seed}", "b", 1))
    text = section(tmp_path / "runs", tmp_path, compare)
    assert "of seed 1" in text and "of seed 0" not in text and "of seed 2" not in text


def test_a_run_whose_folder_begins_with_a_dash(tmp_path, compare):
    folder = write_run(tmp_path, "ncn", 0, 0.9, epochs=4)
    folder.rename(tmp_path / "-run")
    keep(tmp_path / "-run", ("a", "b", 1))
    os.chdir(tmp_path)
    (every, _) = commands(section("./-run", tmp_path, compare))
    assert every[1] == "./-run"
