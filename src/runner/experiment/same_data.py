"""Whether a run's data is still what it was when the run began."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.records.folder import RunFolder
from runner.storage.seal import Damaged


def is_same(recorded: Mapping[str, Any], data: LinkData) -> bool:
    """Whether data is what a run has recorded: the same graph and features.

    Of the split counts what the files say of it, not what the seed draws; names of nodes count too.

    Args:
        recorded: `data` of its meta.json. A run from before its graph had a fingerprint is known
            by that of graph and split together, and one from before its split had one is of any.
    """
    if "graph" not in recorded:
        return bool(recorded["fingerprint"] == data.fingerprint)
    found = data.graph_fingerprint, data.features_fingerprint
    if "split" in recorded and recorded["split"] != data.split_fingerprint:
        return False
    if "names" in recorded and recorded["names"] != data.names_fingerprint:
        return False
    return (recorded["graph"], recorded["features"]) == found


def refuse_other_data(data: LinkData, folder: Path, *, at: str, remedy: str) -> None:
    """Refuse to go on with a run, or its sweep, on data that is no longer what it was.

    Args:
        folder: of the run. One that has not begun, or whose records are lost, is not refused.
        at, remedy: for the message: what is resumed, and what to do beside restoring the data.

    Raises:
        RunnerError: with the sizes then and now.
    """
    try:
        meta = RunFolder(folder).meta()
    except Damaged:
        return
    if "data" not in meta or is_same(meta["data"], data):
        return
    links = "links" if "links" in meta["sizes"] else "training links"
    then = meta["sizes"]["nodes"], meta["sizes"][links.replace(" ", "_")]
    parts = data.train, data.valid.positive, data.test.positive
    count = sum(part.shape[1] for part in parts[: None if links == "links" else 1])
    if then != (data.num_nodes, count):
        what = f"{then[0]} nodes and {then[1]} {links} then, {data.num_nodes} and {count} now"
    else:
        what = (
            f"{then[0]} nodes and {then[1]} {links} then and now, but other ones or other features"
        )
    if meta["data"].get("graph") == data.graph_fingerprint:
        what = f"the graph is the same, its {_difference(meta['data'], data)}"
    read = "; ".join(data.notes)
    if "graph" not in meta["data"] and read:  # of a version that may have read it otherwise
        what += f"; it is read like this now: {read}"
    raise RunnerError(
        f"{at}: the dataset has changed since this run was started ({what}); put the old file "
        f"back, or {remedy}"
    )


def _difference(recorded: Mapping[str, Any], data: LinkData) -> str:
    if recorded["features"] != data.features_fingerprint:
        return "features are others"
    if "names" in recorded and recorded["names"] != data.names_fingerprint:
        return "nodes have other names"
    return "split is another"
