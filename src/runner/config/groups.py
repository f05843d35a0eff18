"""The options that the user chose of the config groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.errors import RunnerError

# Every run has one option of each.
GROUPS = (
    "dataset", "encoder", "encoding", "evaluator", "hardware", "model", "negatives", "objective",
    "protocol", "sampler", "tracker", "train", "train.reweight",
)  # fmt: skip
# These change other keys of a run, or make it many.
OPTIONAL = ("experiment", "search", "sweep")


def refuse_groups(overrides: Sequence[str], choices: Mapping[str, Any], *, multirun: bool) -> None:
    """Refuse choices that Hydra lets pass, though they have no effect or no meaning.

    Args:
        overrides: of the command line.
        choices: option of every group.

    Raises:
        RunnerError: naming the override and the remedy.
    """
    for override in overrides:
        key = override.partition("=")[0]
        if key.startswith("+") and key.lstrip("+") in (*GROUPS, *OPTIONAL):
            raise RunnerError(f"{override}: every run has one already; leave out the +")
        if key.startswith("~") and key.lstrip("~") in GROUPS:
            raise RunnerError(f"{override}: every run has one; choose another option instead")
        if key in GROUPS and not isinstance(choices.get(key), str):
            raise RunnerError(f"{override}: it takes the name of one option")
    for group in ("sweep", "search"):
        if choices.get(group) and not multirun:
            option = f"{group}={choices[group]}"
            raise RunnerError(f"{option}: a {group} is several runs; write runner -m …")
