"""The interpolations that conf/ uses beside Hydra's own."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from runner.config import published
from runner.storage.seal import Damaged, read_json

_PACKED = (".gz", ".bz2", ".xz", ".zst")
_IN_NO_FOLDER = r'[<>:"|?*\\/\x00-\x1f]'


def register() -> None:
    """Make them known to OmegaConf in this process; safe to call again."""
    published.register()
    OmegaConf.register_new_resolver("under", _under, replace=True)
    OmegaConf.register_new_resolver("when", _when, replace=True)
    OmegaConf.register_new_resolver("random_id", lambda: secrets.token_hex(4), replace=True)
    OmegaConf.register_new_resolver("name_of_file", _name_of_file, replace=True)
    OmegaConf.register_new_resolver("name_of_data", _name_of_data, replace=True)
    OmegaConf.register_new_resolver("experiments_of", _experiments_of, replace=True)
    OmegaConf.register_new_resolver("experiment_of", _experiment_of_run, replace=True)


def _under(protocol: str, there: str, elsewhere: str, *, _root_: DictConfig) -> str:
    """In a defaults list: the option under a protocol, and that under every other."""
    return there if _root_.protocol == protocol else elsewhere


def _when(value: Any, wanted: Any, then: Any, otherwise: Any) -> Any:
    """What a key is by default where another has a wanted value, and what where it has not."""
    return then if value == wanted else otherwise


def _name_of_file(*, _parent_: DictConfig) -> str:
    """The name of the user's graph beside which this stands, after its file."""
    # Hydra asks for it in the name of a folder, before anyone can say that the path is missing.
    missing = OmegaConf.is_missing(_parent_, "path")
    return "graph" if missing else name_of(str(_parent_.path))


def name_of(path: str) -> str:
    """`graph` of `/data/graph.csv.gz`, `karate` of KONECT's `out.karate`."""
    file = Path(path)
    if file.suffix.lower() in _PACKED:
        file = file.with_suffix("")
    name = file.suffix[1:] if file.stem == "out" else file.stem
    return re.sub(_IN_NO_FOLDER, "_", name).strip(". ") or "graph"


def _experiments_of(*, _parent_: DictConfig) -> list[str]:
    """Of the runs beside which this stands, what repeats of them share; the folder of no run."""
    if OmegaConf.is_missing(_parent_, "runs"):
        return []
    return [_experiment_of(Path(str(run)).expanduser()) for run in _parent_.runs]


def _experiment_of_run(folder: str | None) -> str | None:
    """What repeats of the run in a folder share; the word itself where it is no folder."""
    return None if folder is None else _experiment_of(Path(str(folder)).expanduser())


def _experiment_of(folder: Path) -> str:
    try:
        return str(read_json((folder / "meta.json").read_text())["experiment"])
    except (OSError, ValueError, KeyError, Damaged):
        return str(folder)  # what the run itself refuses


def _name_of_data(choice: str, *, _root_: DictConfig) -> str:
    """The name that the user's own graph has; else the option of the group."""
    dataset = _root_.dataset
    return dataset.name if "own" in dataset and dataset.own else choice
