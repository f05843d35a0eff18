"""The hardest test pairs of a run: their file in the run's folder, and a section of the page."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner.comparison.groups import Group
from runner.comparison.run import Run
from runner.storage.seal import Damaged, read_json

FILE = "hardest_pairs.json"
COLUMNS = (
    "source", "target", "label", "score", "common neighbours", "source degree", "target degree",
)  # fmt: skip
KEPT = 10  # links and negatives in the file, each
_EXPLAINED = 5  # in the command that the page shows, each
_SHOWN_ROWS = 16  # of a dataset, the best


def content(epoch: int, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The content of the file.

    Args:
        epoch: of the weights that gave the scores.
        columns: source, target, label (1 for a link) and what else is known of a pair.
        rows: the hardest first; of each label `KEPT` are taken.
    """
    label = columns.index("label")
    kept = [row for side in (1, 0) for row in [r for r in rows if r[label] == side][:KEPT]]
    pairs = [dict(zip(columns, row, strict=True)) for row in kept]
    return {"epoch": epoch, "pairs": [_with_names(pair) for pair in pairs]}


def _with_names(pair: Mapping[str, Any]) -> dict[str, Any]:
    return {**pair, "source": str(pair["source"]), "target": str(pair["target"])}


def hardest_pairs(folder: Path, epoch: int | None) -> list[dict[str, Any]]:
    """The pairs of a run, links before negatives; none of a run without, or of other weights.

    A file that is damaged or malformed counts as none.

    Args:
        epoch: of the weights that are asked about.
    """
    try:
        found = read_json((folder / FILE).read_text(encoding="utf-8"))
        pairs = found["pairs"] if found["epoch"] == epoch else []
        return pairs if all(map(_is_pair, pairs)) else []
    except (OSError, ValueError, LookupError, TypeError, Damaged):
        return []


def _is_pair(pair: Mapping[str, Any]) -> bool:
    kinds: dict[str, Any] = {"source": str, "target": str}
    return all(isinstance(pair[name], kinds.get(name, int | float)) for name in COLUMNS)


def explanation_file(folder: Path, epoch: int | None, pair: Mapping[str, Any]) -> Path:
    """Where the explanation of a pair of a run lies, if it was written."""
    told = json.dumps([epoch, pair["source"], pair["target"]])  # names are no names of files
    return folder / "why" / f"why-{hashlib.sha256(told.encode()).hexdigest()[:16]}.html"


def hardest_of_rows(groups: Sequence[Group], page: Path) -> list[dict[str, Any]]:
    """For each row the pairs of its best run by validation, as the page at a path shows them."""
    best = sorted(groups, key=lambda group: -max(group.tests))[:_SHOWN_ROWS]
    found = [_of_row(group, page) for group in groups if group in best]
    return [row for row in found if row["pairs"]]


def _of_row(group: Group, page: Path) -> dict[str, Any]:
    run = max(group.runs, key=_validation)
    epoch = run.result.best_epoch if run.result else None
    pairs = hardest_pairs(run.folder, epoch) if run.folder else []
    command = ["runner-predict", _argument(run.name)]
    return {
        "label": group.label,
        "run": run.name,
        "pairs": [
            {
                **pair,
                "link": _link(run, epoch, pair, page),
                "command": _explaining(command, pair),
            }
            for pair in pairs
        ],
        "command": shlex.join([*command, "--explain-hardest", str(_EXPLAINED)]),
    }


def _validation(run: Run) -> float:
    result = run.result
    return result.valid.get(result.select, result.test[result.select]) if result else -1.0


def _link(run: Run, epoch: int | None, pair: Mapping[str, Any], page: Path) -> str | None:
    assert run.folder is not None
    file = explanation_file(run.folder, epoch, pair)
    if not file.is_file():
        return None
    # Percent signs keep a colon in a folder's name from being read as a scheme.
    return quote(Path(os.path.relpath(file, page.absolute().parent)).as_posix())


def _explaining(command: Sequence[str], pair: Mapping[str, Any]) -> str | None:
    """The command for one pair; None where the shell's user could not write a name."""
    ends = [pair["source"], pair["target"]]
    if any(name.startswith("-") for name in ends):
        return None
    return shlex.join([*command, "--explain", *ends, "--html", "why.html"])


def _argument(name: str) -> str:
    return f"./{name}" if name.startswith("-") else name
