"""What the design forbids (CONTRIBUTING), read from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "runner"
# A seal is a checksum inside a file, too.
MODELS = {path.stem for path in (ROOT / "conf" / "model").glob("*.yaml")} - {"none", "seal"}
COMPONENTS = MODELS | {"completion"}
# Names of before are told apart there; W&B wants the names of a panel's tables beforehand.
NAMES_COMPONENTS = {"config/aliases.py", "dashboard/panels.py"}
FILES = sorted(
    path
    for path in SOURCE.rglob("*.py")
    if path.relative_to(SOURCE).parts[0] not in ("models", "ops")  # links to rooms of their own
)
NAMES = [path.relative_to(SOURCE).as_posix() for path in FILES]


def nodes(path: Path) -> Iterator[ast.AST]:
    """All nodes but docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            body[0].value = ast.Constant(None)
    yield from ast.walk(tree)


def words(node: ast.AST) -> set[str]:
    match node:
        case ast.Constant(value=str(text)):
            return set(re.findall(r"[a-z0-9_]+", text.lower()))
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
            return {name}
        case ast.ImportFrom(module=str(module)):
            return set(module.split("."))
    return set()


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_component_is_named(path):
    if path.relative_to(SOURCE).as_posix() in NAMES_COMPONENTS:
        return
    found = [(node.lineno, name) for node in nodes(path) for name in words(node) & COMPONENTS]
    assert found == []


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_key_of_a_config_has_its_default_elsewhere(path):
    """A key that came later is filled in by `modernise`."""
    found = [
        ast.unparse(node)
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and len(node.args) == 2
        and re.search(r"\b(config|plain|settings\.config)\b", ast.unparse(node.func.value))
    ]
    assert found == []


# Rooms that run components, whose contracts are classes.
RUNS_COMPONENTS = {"training", "experiment", "records", "tracking"}
# Other libraries' objects, which differ by version and machine.
OF_OTHERS = {
    "getattr(os, 'posix_fallocate', lambda fd, _, size: os.ftruncate(fd, size))",
    "getattr(torch, config.train.precision)",
}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_contract_is_found_by_its_attributes(path):
    if path.relative_to(SOURCE).parts[0] not in RUNS_COMPONENTS:
        return
    found = {
        ast.unparse(node)
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("getattr", "hasattr", "callable")
    }
    assert found <= OF_OTHERS
