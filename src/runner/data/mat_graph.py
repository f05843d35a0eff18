"""The small graphs that papers on link prediction share as MATLAB files (Zhang and Chen 2018)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from runner.data.edges import edge_file
from runner.data.link_data import LinkData
from runner.data.whole_graph import LinkSplit
from runner.errors import RunnerError
from runner.keys import Folder

Name = Literal["USAir", "NS", "PB", "Yeast", "Celegans", "Power", "Router", "Ecoli", "facebook"]


def mat_graph(*, name: Name, root: Folder, cache: Folder, split: LinkSplit) -> LinkData:
    """A graph without features, simple and undirected, from `root`/mat/<name>.mat.

    Raises:
        RunnerError: if the file is missing or cannot be read.
    """
    file = Path(root).expanduser() / "mat" / f"{name}.mat"
    if not file.is_file():
        raise RunnerError(
            f"dataset.root={root}: there is no {file}; put it there, or point dataset.root (or "
            f"RUNNER_DATA) at a folder that has mat/{name}.mat"
        )
    return edge_file(path=str(file), features=None, directed=False, cache=cache, split=split)
