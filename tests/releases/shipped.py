"""Components as the shipped YAML builds them."""

from __future__ import annotations

from functools import cache
from typing import Any

from omegaconf import OmegaConf
from torch import nn

from runner.config.shipped import shipped_run
from runner.experiment.build import build


@cache
def _node(group: str, option: str) -> dict[str, Any]:
    composed = shipped_run([f"{group}={option}"], {})
    chosen: Any = OmegaConf.select(composed, group.replace("/", "."))
    node: Any = OmegaConf.to_container(chosen, resolve=True)
    return node


def as_shipped(group: str, option: str, changed: dict[str, Any], **given: Any) -> nn.Module:
    """A component of an option of a group, with other values of keys that its YAML has.

    Args:
        group: also of a part, as `model/pool`.
        given: what only a run knows.
    """
    node = _node(group, option)
    assert changed.keys() <= node.keys()
    return build(group, {**node, **changed}, **given)
