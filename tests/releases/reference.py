"""Outputs of published releases on one fixed input, read from the folder of RUNNER_REFERENCE."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from runner.ops.csr import Graph

Arrays = Mapping[str, np.ndarray]


def read_reference(system: str) -> dict[str, np.ndarray]:
    """All arrays of ``<system>_release.npz``; the test skips where there is no such folder."""
    folder = os.environ.get("RUNNER_REFERENCE")
    if not folder:
        pytest.skip(f"RUNNER_REFERENCE does not name the folder of {system}_release.npz")
    with np.load(Path(folder) / f"{system}_release.npz") as stored:
        return dict(stored)


def forms_of(system: str) -> list[Any]:
    """The names of its forms, to parametrize; without the folder one that skips."""
    folder = os.environ.get("RUNNER_REFERENCE")
    if not folder:
        return [pytest.param("", marks=pytest.mark.skip("RUNNER_REFERENCE is not set"))]
    with np.load(Path(folder) / f"{system}_release.npz") as stored:
        return sorted(key.partition("/")[0] for key in stored if key.endswith("/arguments"))


def arrays_of(release: Arrays, form: str) -> dict[str, np.ndarray]:
    """The arrays of a form by their names there; those of a name without are left out."""
    prefix = f"{form}/"
    found = {key.removeprefix(prefix): v for key, v in release.items() if key.startswith(prefix)}
    assert found, form
    return found


def weights_of(release: Arrays, form: str) -> dict[str, np.ndarray]:
    """The weights of a form, by the names of the release."""
    return arrays_of(release, f"{form}/weight")


def arguments_of(release: Arrays, form: str) -> dict[str, Any]:
    """What the form is."""
    return json.loads(str(release[f"{form}/arguments"]))


def graph_of(edges: np.ndarray, num_nodes: int) -> Graph:
    return Graph.from_edges(torch.from_numpy(edges).long(), num_nodes)


def fixed_input() -> tuple[Graph, Tensor, Tensor, Tensor]:
    """Graph, features (332, 24), embeddings (332, 16) and pairs (2, 260) of all releases."""
    stored = read_reference("ncn")
    graph = graph_of(stored["edge_index"], int(stored["num_nodes"]))
    x, h = (torch.from_numpy(stored[name]) for name in ("x", "h"))
    return graph, x, h, torch.from_numpy(stored["pairs"]).long()


def assert_close(found: Tensor, expected: np.ndarray, *, by_column: bool = False) -> None:
    """Within 1e-5, relative to an element above 1, or to the largest of its column."""
    expected = np.asarray(expected, dtype=np.float64)
    largest = np.abs(expected).max(axis=0, keepdims=True) if by_column else np.abs(expected)
    floor = 0.0 if by_column else 1.0
    difference = np.abs(found.detach().numpy().astype(np.float64) - expected)
    assert found.shape == expected.shape
    worst = (difference / np.maximum(largest, floor).clip(1e-30)).max()
    assert worst <= 1e-5, f"differs by {worst:.3g}"
