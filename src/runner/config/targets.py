"""The classes and functions that a config names by `_target_`: ours, and those of others.

A folder's config could run anything; what is not ours runs only where the user names it.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from runner.config.signatures import definition
from runner.errors import RunnerError

GET_CLASS = "hydra.utils.get_class"
# Rooms whose classes and functions a config may name; the rest of ours are no components.
_OURS = (
    "runner.models.", "runner.training.", "runner.tracking.", "runner.data.", "torch.optim.",
)  # fmt: skip
# What functions return that a config may name: a dataset, or a convolution with arguments.
_RETURNED = ("LinkData", "type[Convolution]")


def nodes(node: Any, name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All nodes with a `_target_` in and below a node of this name, by their dotted names."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield name, node
        for key, value in node.items():
            yield from nodes(value, f"{name}.{key}" if name else str(key))


def foreign_targets(plain: Mapping[str, Any]) -> dict[str, str]:
    """By key, the classes and functions that a config names and that are not ours."""
    found = {}
    for name, node in nodes(plain):
        key = "path" if node["_target_"] == GET_CLASS else "_target_"
        if not is_ours(node.get(key)):
            found[f"{name}.{key}"] = str(node.get(key))
    return found


def is_ours(target: Any) -> bool:
    """Whether a dotted name is a class of our rooms of components or of torch.optim, or makes one.

    A module of ours also has the names that it imports (`runner.data.ogb.shutil.rmtree`), and
    functions that write files: so what counts is where it is defined, and as what.
    """
    found = definition(str(target))
    if found is None:
        return False
    module, node = found
    if not f"{module}.{node.name}".startswith(_OURS):
        return False
    if isinstance(node, ast.ClassDef):
        return True
    return node.returns is not None and ast.unparse(node.returns) in _RETURNED


def trusted_packages() -> frozenset[str]:
    """The packages that the environment trusts: `RUNNER_TRUST=mylab,another`."""
    names = os.environ.get("RUNNER_TRUST", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def refuse_foreign(plain: Mapping[str, Any], *, trusted: Collection[str], where: str) -> None:
    """Keep the config of a folder from running what the user has not named himself.

    Raises:
        RunnerError: naming what it would run, and how to allow it.
    """
    packages = trusted_packages()
    for key, target in foreign_targets(plain).items():
        package = target.partition(".")[0]
        if target not in trusted and package not in packages:
            raise RunnerError(
                f"{where}: its config runs {target} ({key}), which is none of ours and could do "
                f"anything; if you know it, say so: {key}={target}, or RUNNER_TRUST={package}"
            )
