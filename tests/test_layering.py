"""Imports point one way, from floor to floor; `ops` and `models` know no Hydra and no W&B."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
# Top to bottom: a room imports from its own floor's other rooms never, from those below always.
FLOORS = (
    {"dashboard"},
    {"cli"},
    {"sweeps"},
    {"prediction"},
    {"experiment"},
    {"audits"},
    {"records"},
    {"training"},
    {"tracking", "data", "comparison"},
    {"config"},
    {"models", "machine"},
    {"storage"},
    {"ops", "terminal"},
    {"errors", "keys"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
NOT_OF_MODELS = {"hydra", "omegaconf", "wandb"}


def files(room: str) -> list[Path]:
    folder = SOURCE / room if room in ("models", "ops") else SOURCE / "runner" / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def imported(path: Path) -> Iterator[str]:
    """Dotted names; of `from runner.x import y` the name with y, which may be a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_room_has_a_floor_and_few_files_lie_outside():
    rooms = {p.name for p in (SOURCE / "runner").iterdir() if p.is_dir() and p.name[0] != "_"}
    assert rooms | {"errors", "keys"} == set(FLOOR)
    assert len(list((SOURCE / "runner").glob("*.py"))) <= 4


@pytest.mark.parametrize("room", sorted(FLOOR))
def test_imports_point_down(room):
    assert files(room)
    wrong = []
    for path in files(room):
        for name in imported(path):
            package, *rest = name.split(".")
            if package != "runner" or not rest or rest[0] == room:
                continue
            if rest[0] not in FLOOR or FLOOR[rest[0]] <= FLOOR[room]:
                wrong.append(f"{path.relative_to(SOURCE)}: {name}")
    assert not wrong


@pytest.mark.parametrize("room", ["models", "ops"])
def test_models_and_ops_know_no_hydra_and_no_tracker(room):
    names = {name.split(".")[0] for path in files(room) for name in imported(path)}
    assert not names & NOT_OF_MODELS


def test_operators_read_graphs_of_other_libraries_without_importing_them():
    names = {name.split(".")[0] for path in files("ops") for name in imported(path)}
    assert not names & {"networkx", "torch_geometric"}


def test_help_imports_nothing_heavy():
    """cli, and what it imports at its top, leave torch, W&B and OGB to what needs them."""
    heavy = {"torch", "numba", "wandb", "ogb", "torch_geometric", "scipy", "pandas", "optuna"}
    at_start, seen = ["cli.main", "sweeps.sweeper"], set()
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
    assert {"cli.main", "config.published", "sweeps.ledger", "errors"} <= seen
