"""What HTML pages share: templates that escape, JSON in scripts, the look, sorted tables."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup


def template(package: str, name: str) -> jinja2.Template:
    """A template among a package's assets; what is put into it is escaped."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(asset(package, name))


def look() -> Markup:
    """The style of all pages: light and dark, tables, a phone."""
    return Markup(asset("runner.comparison", "page.css"))


def sorted_tables() -> Markup:
    """A script: a click on a heading of a table of class `sortable` sorts it."""
    return Markup(asset("runner.comparison", "tables.js"))


def embed_json(content: Any) -> Markup:
    """JSON, NaN and infinities as null, escaped so that it cannot end its script element."""
    text = json.dumps(finite(content), separators=(",", ":"), ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def finite(content: Any) -> Any:
    """The same, with None for numbers that JSON has not."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


@cache
def asset(package: str, name: str) -> str:
    """The text of a file in `assets/` of a package."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")
