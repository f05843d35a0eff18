"""The page of an explanation in a real browser."""

from __future__ import annotations

import pytest
from tests.browser import opened
from tests.runner.prediction.test_explanation import HOSTILE, NAMES, hub, small

HIDDEN = "document.getElementById('told').hidden"
WIDTH = "document.documentElement.scrollWidth"
GROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture
def file(tmp_path):
    return small(probability=0.5).page(tmp_path / "why.html")


def test_pointing_at_a_node_tells_what_it_is_and_shows_its_links(file):
    with opened(file, width=1200) as page:
        assert page.evaluate(HIDDEN) and not page.locator(".drawing.tall").is_visible()
        page.locator(".wide .spot", has_text="Gus").locator(".dot").hover()
        assert page.locator("#told").inner_text().splitlines() == [
            "Gus", "degree 1", "neighbours of the target alone", "contribution +1",
            "completion probability 0.875",
        ]  # fmt: skip
        near = page.locator(".wide .line.near")
        assert near.count() == 2 and page.locator(".wide .line.missing.near").count() == 1
        told, dot = page.locator("#told").bounding_box(), page.locator(".wide .dot").nth(1)
        assert told["x"] >= 0 and told["x"] + told["width"] <= 1200 and dot.is_visible()
        page.mouse.move(5, 5)
        assert page.evaluate(HIDDEN) and near.count() == 0


def test_the_keyboard_reaches_every_node(file):
    with opened(file, width=1200) as page:
        heard = []
        for _ in range(7):
            page.keyboard.press("Tab")
            heard.append(page.locator("#told b").inner_text())
        assert sorted(heard) == sorted(NAMES) and not page.evaluate(HIDDEN)
        label = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert label.startswith(f"{heard[-1]}: degree ")
        page.keyboard.press("Escape")
        assert page.evaluate(HIDDEN)


@pytest.mark.parametrize(("scheme", "light"), [("light", True), ("dark", False)])
def test_light_and_dark(file, scheme, light):
    with opened(file, width=1200, scheme=scheme) as page:
        ground, text = (
            sum(map(int, page.evaluate(colour).removeprefix("rgb(").rstrip(")").split(",")))
            for colour in (GROUND, "getComputedStyle(document.querySelector('.spot text')).fill")
        )
        assert (ground > 600, text < 200) == (light, light)


@pytest.mark.parametrize("explained", [small(), hub(200)])
def test_a_phone(explained, tmp_path):
    with opened(explained.page(tmp_path / "why.html"), width=360) as page:
        assert page.evaluate(WIDTH) == 360
        assert (
            page.locator(".drawing.tall").is_visible()
            and not page.locator(".drawing.wide").is_visible()
        )
        spot = page.locator(".tall .spot").last
        spot.locator(".dot").hover()
        told = page.locator("#told").bounding_box()
        assert told["x"] >= 0 and told["x"] + told["width"] <= 360
        assert page.evaluate(WIDTH) == 360


def test_hostile_names_are_inert_and_shown(tmp_path):
    found = small([*HOSTILE, "x" * 300, *NAMES[4:]])
    with opened(found.page(tmp_path / "why.html"), width=360) as page:
        assert page.locator("img").count() == 0 and page.locator("script").count() == 3
        assert page.title() == f"{HOSTILE[0]} – {HOSTILE[1]}"  # noqa: RUF001
        page.locator(".tall .end").first.focus()
        assert page.locator("#told b").inner_text() == HOSTILE[0]
        assert page.evaluate(WIDTH) == 360


def test_without_a_script(file):
    with opened(file, width=1200, script=False) as page:
        assert page.locator(".wide .spot").count() == 7
        assert page.locator(".wide .end title").first.text_content().startswith("Ann: degree 5")


def test_in_a_notebook(tmp_path):
    cell = tmp_path / "cell.html"
    shown = small([*HOSTILE, *NAMES[3:]])._repr_html_()
    cell.write_text(f"<!doctype html><meta charset=utf-8>{shown}")
    with opened(cell, width=900) as page:
        frame = page.frame_locator("iframe")
        frame.locator(".wide .spot.raises").first.focus()
        assert frame.locator("#told b").is_visible()
        assert page.locator("table").count() == 1 and page.locator("img").count() == 0
