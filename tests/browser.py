"""A real browser for tests: the system's Chromium, which tests skip without."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@contextmanager
def opened(
    file: Path,
    *,
    width: int,
    scheme: str = "light",
    script: bool = True,
    linked: Sequence[Path] = (),
) -> Iterator[Page]:
    """A file in Chromium, from disk and without a network; its errors fail the test.

    Args:
        linked: folders of the files that a click may open.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    wrong: list[str] = []
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=script,
            offline=True,
        )
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        yield page
        browser.close()
    assert wrong == []
    known = tuple(folder.as_uri() for folder in linked)
    others = [url for url in asked if url not in (file.as_uri(), "about:srcdoc")]
    assert [url for url in others if not url.startswith(known)] == []
