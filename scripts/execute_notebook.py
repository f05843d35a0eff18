"""Run a notebook and keep its outputs.

    python scripts/execute_notebook.py examples/quickstart.ipynb

It runs in an empty folder, whose path is left out of the outputs.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs that its cells have in a folder.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources=where, coalesce_streams=True
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times of the cells
    return nbformat.from_dict(json.loads(json.dumps(notebook).replace(f"{folder}/", "")))


def main() -> None:
    (path,) = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(executed(path, Path(folder).resolve()), path)


if __name__ == "__main__":
    main()
