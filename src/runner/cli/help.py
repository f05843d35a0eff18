"""`runner --help`: its text stands in `conf/config.yaml`, where Hydra has it too."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import yaml

from runner.config.groups import GROUPS, OPTIONAL

_CONFIG = "config.yaml"


def is_asked_for(arguments: Sequence[str]) -> bool:
    return bool({"-h", "--help"} & set(arguments))


def show_help(arguments: Sequence[str]) -> None:
    """Print usage, and the options of each group in `conf/` and in the user's `--config-dir`.

    Hydra's own help looks for them anew for each group, which takes most of a second.
    """
    parser = ArgumentParser(add_help=False)
    parser.add_argument("--config-dir", "-cd", type=Path)
    given = parser.parse_known_args(arguments)[0].config_dir
    folders = [files("runner.conf"), *([given] if given is not None else [])]
    lines = []
    for group in sorted([*GROUPS, *OPTIONAL]):
        options = {
            entry.name.removesuffix(".yaml")
            for folder in folders
            if (folder / group).is_dir()
            for entry in (folder / group).iterdir()
            if entry.name.endswith(".yaml")
        }
        lines.append(f"  {group}: {', '.join(sorted(options))}")
    told = yaml.safe_load((files("runner.conf") / _CONFIG).read_text())["hydra"]["help"]
    text = str(told["template"]).replace("$APP_CONFIG_GROUPS", "\n".join(lines))
    for key in ("header", "footer"):
        text = text.replace(f"${{hydra.help.{key}}}", str(told[key]))
    print(text)
