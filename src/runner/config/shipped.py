"""The shipped config with some overrides, composed within a command or outside of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.resources import files
from typing import Any

import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from runner.config import resolvers
from runner.config.flat import flat
from runner.config.signatures import constant


def compose_shipped(overrides: Sequence[str], *, hydra: bool = False) -> DictConfig:
    """The shipped config with these overrides, not yet resolved.

    Args:
        hydra: with Hydra's own section.
    """
    # Inside a Hydra command, Hydra knows our configs already.
    known = GlobalHydra.instance().is_initialized()
    with nullcontext() if known else initialize_config_module("runner.conf", version_base="1.3"):
        return compose("config", overrides=list(overrides), return_hydra_config=hydra)


def shipped_run(options: Sequence[str], values: Mapping[str, Any]) -> DictConfig:
    """The config of a run with these options, without the user's `conf/local`, not yet resolved.

    Args:
        options: of the groups, as `model=ncn`.
        values: of further keys, those that Hydra would give included.
    """
    resolvers.register()
    own = ["~local"] if (files("runner.conf") / "local" / "default.yaml").is_file() else []
    config = compose_shipped([*options, *own])
    OmegaConf.set_struct(config, False)
    typed: Any = OmegaConf.to_container(config, resolve=False)
    needed = [key for key, value in flat(typed, ".").items() if value == "???"]
    for key, value in {**dict.fromkeys(needed), **values}.items():
        OmegaConf.update(config, key, value)
    return config


def models_with(attribute: str, value: Any) -> list[str]:
    """Options of the group `model` whose class has this value of a constant, by name."""
    found = []
    for option in files("runner.conf").joinpath("model").iterdir():
        name, dot, _ = option.name.partition(".yaml")
        if not dot:
            continue
        content = yaml.safe_load(option.read_text())
        # The option may take its class from another: to compose it takes longer.
        node = content if "_target_" in content else compose_shipped([f"model={name}"]).model
        if constant(str(node["_target_"]), attribute) == value:
            found.append(name)
    return sorted(found)
