"""`${tuned:path,default}`: the dataset's published hyper-parameter, else the documented default.

Interpolation keeps Hydra's order of precedence: a value given on the command line, in an
experiment or in `conf/local` replaces the interpolation and wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from runner.config.schema import asked
from runner.config.signatures import constant

_ABSENT = object()
_OF_OPTIONS = {
    "encoder.convolution.path", "negatives._target_", "negatives.per_positive", "negatives.redraw",
    "sampler._target_", "sampler.drop_last", "train.optimizer._target_",
}  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """Where the value of one tunable key came from."""

    key: str
    value: Any
    # "published column", "dataset", "default", "override", an option as "encoder=gcn", or
    # "config file": an experiment's, a model's or the user's own.
    source: str


def register() -> None:
    """Make the resolver known to OmegaConf; safe to call again."""
    OmegaConf.register_new_resolver("tuned", _tuned, replace=True)


def _tuned(*given: Any, _root_: DictConfig) -> Any:
    if len(given) != 2:
        raise ValueError("${tuned:section.key,default} takes a key of a column and a default")
    path, default = str(given[0]), given[1]
    value = _from_column(_root_, path)
    return default if value is _ABSENT else value


def untuned(raw: Any) -> Any:
    """The documented default of a raw value that a column may give; another value as it is."""
    found = isinstance(raw, str) and re.fullmatch(r"\$\{tuned:[\w.]+,(.*)\}", raw)
    return yaml.safe_load(found[1]) if found else raw


def _from_column(root: DictConfig, path: str) -> Any:
    if root.hyperparameters != "published":
        return _ABSENT
    columns = [root.protocol.tuned]
    own = column_of(root.model.get("_target_"))
    if own is not None:
        columns.insert(0, root.protocol.tuned_for.get(own))
        if root.train.init_from is not None:
            columns.insert(0, root.protocol.tuned_for.warm_start)
    for column in columns:
        value = _walk(column, path.split("."))
        if value is not _ABSENT:
            return value
    return _ABSENT


def column_of(target: Any) -> str | None:
    """The column that a predictor takes before the common one (`Predictor.column`)."""
    return constant(str(target), "column")


def _walk(node: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(node, Mapping | DictConfig) or key not in node:
            return _ABSENT
        node = node[key]
    return node


def origins(
    config: DictConfig, overrides: Sequence[str], choices: Mapping[str, Any]
) -> list[Origin]:
    """The origin of every tunable value of a composed, not yet resolved config.

    Args:
        overrides: of the command line.
        choices: option of every group.
    """
    overridden = {override.lstrip("+~").split("=", 1)[0] for override in overrides}
    in_column = "published column" if config.protocol.published else "dataset"
    found = []
    for key, raw in _leaves(OmegaConf.to_container(config, resolve=False)):
        if not _is_tunable(key):
            continue
        if isinstance(raw, str) and raw.startswith("${tuned:"):
            path = raw.removeprefix("${tuned:").split(",", 1)[0]
            published = _from_column(config, path) is not _ABSENT
            source = in_column if published else "default"
        elif key in overridden:
            source = "override"
        elif key in _OF_OPTIONS:
            group = key.split(".", 1)[0]
            source = f"{group}={choices[group]}"
        else:
            source = "config file"
        found.append(Origin(key, OmegaConf.select(config, key), source))
    return found


def _is_tunable(key: str) -> bool:
    """Whether a column may have its value, under this name or the end of it."""
    if key.startswith("protocol."):
        return False
    names = (name for name in asked() if "." in name)
    return key in _OF_OPTIONS or any(key == name or key.endswith(f".{name}") for name in names)


def untuned_note(config: DictConfig, found: Sequence[Origin]) -> str | None:
    """The line that tells the user that a pair has no published column, or None."""
    if config.hyperparameters != "published":
        return "hyperparameters=default: the documented defaults are used, not a published column"
    tunable = [o for o in found if o.key.startswith(("encoder.", "model."))]
    sources = {origin.source for origin in tunable}
    if "default" not in sources or sources & {"published column", "dataset"}:
        return None
    return (
        f"no published hyper-parameters for {config.run.model} on {config.run.dataset}: "
        "documented defaults are used (runner --cfg job shows them)"
    )


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node
