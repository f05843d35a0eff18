"""Imports point one way: ops <- models <- runner; models know no Hydra and no W&B."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
FORBIDDEN = {
    "ops": {"models", "runner", "hydra", "omegaconf", "wandb"},
    "models": {"runner", "hydra", "omegaconf", "wandb"},
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_point_one_way(package):
    files = sorted((SOURCE / package).rglob("*.py"))
    assert files
    wrong = [
        f"{path.name}: {name}"
        for path in files
        for name in imported(path)
        if name.split(".")[0] in FORBIDDEN[package]
    ]
    assert not wrong


def test_help_imports_nothing_heavy():
    """cli, and what it imports at its top, leave torch, W&B and OGB to what needs them."""
    heavy = {"torch", "numba", "wandb", "ogb", "torch_geometric", "scipy", "pandas", "optuna"}
    at_start, seen = ["cli", "sweeps.sweeper"], set()
    while at_start:
        module = at_start.pop()
        path = SOURCE / "runner" / f"{module.replace('.', '/')}.py"
        if module in seen or not path.exists():
            continue
        seen.add(module)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & heavy, module
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert node.module.split(".")[0] not in heavy, module
                if node.module.startswith("runner"):
                    inside = node.module.removeprefix("runner").lstrip(".")
                    at_start.append(inside)
                    at_start += [f"{inside}.{alias.name}".lstrip(".") for alias in node.names]
    assert {"cli", "tuned", "sweeps.ledger", "errors"} <= seen
