"""The HTML page: whole, self-contained, and safe whatever runs are called."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest
from tests.runner.comparison.conftest import PUBLISHED, write_run
from tests.runner.comparison.test_importance import write_search

from runner.storage.seal import sealed_json

VOID = {"meta", "link", "br", "img", "input", "hr"}
LOADING = {"src", "srcset", "poster", "action", "formaction", "data", "background", "manifest"}


class Page(HTMLParser):
    """Elements with their attributes, the text of tables by section, scripts, and balance."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.section = ""
        self.rows: dict[str, list[list[str]]] = {}
        self.scripts: list[tuple[str | None, str]] = []
        self.styles: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.elements.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = found["id"]
        elif tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        elif tag in ("td", "th"):
            self.rows[self.section][-1].append("")
        elif tag == "script":
            self.scripts.append((found.get("type"), ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
        elif self.open and self.open[-1] == "style":
            self.styles.append(data)
        elif {"td", "th"} & set(self.open):
            self.rows[self.section][-1][-1] += data


@pytest.fixture
def page(tmp_path, compare):
    def make(root, *options):
        file = tmp_path / "page.html"
        code, _, error = compare(root, "--html", file, *options)
        assert code == 0, error
        return Page(file.read_text())

    return make


def test_the_page_has_results_significance_curves_costs_and_what_failed(root, page):
    for seed, test in enumerate((0.95, 0.96, 0.99)):
        write_run(root, "ncnc", seed, test, epochs=3)
    found = page(root)
    results = {row[0]: row for row in found.rows["results"]}
    assert results["model"][:4] == ["model", "runs", "hits@100", "mrr"]
    assert results["ncn"][1:5] == ["3", "90.00 ± 2.00", "50.00 ± 0.00", "89.00 ± 1.00"]
    assert results["ncnc"][2] == "96.67 ± 2.08"
    assert found.rows["pairs"][1][:5] == ["ncnc", "ncn", "+6.67", "paired", "3"]
    assert {row[0] for row in found.rows["cost"]} == {"model", "ncn", "ncn2", "ncnc"}
    (failed,) = found.rows["unfinished"][1:]
    assert failed[1:4] == ["failed", "cora", "ncn2"] and failed[5] == "out of <memory>"
    assert len(found.rows["runs"]) == 1 + 8
    assert not found.open


def test_the_best_of_a_column_is_marked(root, tmp_path, page):
    page(root)
    text = (tmp_path / "page.html").read_text()
    assert '<b class="best">90.00 ± 2.00</b>' in text and '<b class="best">80.00' not in text


def test_a_single_row_is_not_the_best(root, tmp_path, page):
    page(root / "cora" / "ncn")
    text = (tmp_path / "page.html").read_text()
    assert "90.00 ± 2.00" in text and '<b class="best">90' not in text


def test_a_metric_that_some_rows_lack_has_a_best_among_the_others(root, tmp_path, page):
    folder = write_run(root, "gae", 0, 0.5)
    summary = json.loads((folder / "summary.json").read_text())
    del summary["test"]["mrr"]
    (folder / "summary.json").write_text(sealed_json(summary))
    found = page(root)
    (gae,) = [row for row in found.rows["results"] if row[0] == "gae"]
    assert gae[2:4] == ["50.00", ""]
    assert '<b class="best">50.00 ± 0.00</b>' in (tmp_path / "page.html").read_text()


def test_nothing_is_loaded_from_elsewhere(root, page):
    found = page(root)
    for tag, attributes in found.elements:
        assert tag not in ("link", "iframe", "object", "embed", "img", "base"), tag
        assert not LOADING & set(attributes), attributes
        assert not (attributes.get("href") or "#").removeprefix("#").count(":")
    assert not re.search(r"url\(|@import", "".join(found.styles))
    (policy,) = [of["content"] for tag, of in found.elements if "http-equiv" in of]
    assert "default-src 'none'" in policy and "http" not in policy
    assert sum("plotly.js v" in text[:2000] for _, text in found.scripts) == 1


def test_hostile_names_stay_text(tmp_path, page):
    evil = "</script><script>alert(1)</script>"
    for number, name in enumerate(("ncn", "b<img src=x onerror=alert(2)>")):
        for seed in range(3):
            write_run(
                tmp_path / "runs", name, seed, 0.5 + seed / 10 + number / 100, epochs=3,
                settings={"model.note": f"{evil}{seed}"}, dataset="d&<b>",
            )  # fmt: skip
    write_run(tmp_path / "runs", "gae", 0, 0.5, status="failed", error=f"{evil}\u2028")
    found = page(tmp_path / "runs")
    tags = [tag for tag, _ in found.elements]
    assert "img" not in tags and not found.open
    assert not any(text.strip().startswith("alert") for _, text in found.scripts)
    assert any(row[0].startswith("b<img") for row in found.rows["results"])
    assert evil in found.rows["unfinished"][1][5]
    data = [json.loads(text) for kind, text in found.scripts if kind == "application/json"]
    (comparison,) = [of for of in data if "rows" in of]
    assert any(evil in value for values in comparison["values"] for value in values)
    names = [trace.get("name") for figure in data for trace in figure.get("data", [])]
    assert "b&lt;img src=x onerror=alert(2)&gt;" in names


def test_every_figure_is_one_that_plotly_takes_and_a_search_has_both_of_its_plots(tmp_path, page):
    write_search(tmp_path / "runs", 20, seeds=2, score=lambda rate, dropout, kind: dropout)
    found = page(tmp_path / "runs")
    figures = [
        go.Figure(json.loads(text))
        for kind, text in found.scripts
        if kind == "application/json" and "rows" not in json.loads(text)
    ]
    assert {trace.type for figure in figures for trace in figure.data} == {
        "scatter", "bar", "parcoords",
    }  # fmt: skip
    (coordinates,) = [figure for figure in figures if figure.data[0].type == "parcoords"]
    axes = {axis.label: axis for axis in coordinates.data[0].dimensions}
    assert set(axes) == {
        "lr_encoder", "dropout", "kind", "seed", "valid, %", "test, %",
    }  # fmt: skip
    assert list(axes["kind"].ticktext) == ["one", "two"]
    assert all(-4 <= value <= -1 for value in axes["lr_encoder"].values)  # logarithms
    assert found.rows["search"][0][0] == "run"


def test_differences_start_with_the_two_best_rows(root, page):
    found = page(root)
    data = (json.loads(text) for kind, text in found.scripts if kind == "application/json")
    (comparison,) = [of for of in data if "rows" in of]
    first, second = (comparison["names"][index] for index in comparison["start"])
    assert "/ncn/" in first and "/ncn2/" in second


def test_a_page_without_a_finished_run_shows_what_there_is(tmp_path, page):
    write_run(tmp_path / "runs", "ncn", 0, 0.5, status="running", published=PUBLISHED)
    found = page(tmp_path / "runs")
    assert found.rows["unfinished"][1][1] == "running" and "results" not in found.rows


def test_the_page_follows_the_readers_theme_and_fits_a_phone(root, page):
    found = page(root)
    assert "prefers-color-scheme: dark" in "".join(found.styles)
    viewport = [of["content"] for tag, of in found.elements if of.get("name") == "viewport"]
    assert viewport == ["width=device-width, initial-scale=1"]
