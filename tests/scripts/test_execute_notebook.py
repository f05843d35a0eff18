"""The notebooks of `examples/` run, and keep outputs that name no machine."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from execute_notebook import executed

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))


def outputs(notebook: nbformat.NotebookNode) -> list[list[str]]:
    return [
        [output.output_type for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.soak
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_its_outputs_are_kept(path, tmp_path):
    kept = nbformat.read(path, as_version=4)
    nbformat.validate(kept)
    assert any(outputs(kept))
    assert not re.search(r"(?<![\w.])/(tmp|home|root|Users|work)\b", nbformat.writes(kept))
    (tmp_path / "home").mkdir()  # for IPython
    made = executed(path, tmp_path)
    assert outputs(made) == outputs(kept)
    assert str(tmp_path) not in str(made)
    for notebook in (kept, made):
        assert not re.search(r"\\u001b\[\d?[AK]", nbformat.writes(notebook))  # a redrawn bar


def test_there_is_a_quickstart():
    assert "quickstart.ipynb" in [path.name for path in NOTEBOOKS]
