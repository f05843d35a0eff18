import re
import subprocess
import sys
from importlib.resources import files

import pytest
import yaml

from runner.cli.help import show_help
from runner.config.groups import GROUPS, OPTIONAL


def test_every_group_of_conf_is_listed_with_its_options(capsys):
    show_help(["--help"])
    out = capsys.readouterr().out
    groups = {entry.name for entry in files("runner.conf").iterdir() if entry.is_dir()}
    groups -= {"hydra", "published", "local", "__pycache__"}
    assert set(re.findall(r"^  ([\w.]+): ", out, flags=re.M)) == groups == {*GROUPS, *OPTIONAL}
    assert "  encoding: full, local, sampled\n" in out and "$" not in out
    defaults = yaml.safe_load((files("runner.conf") / "config.yaml").read_text())["hydra"]["help"]
    assert defaults["header"] in out and defaults["footer"] in out


@pytest.mark.parametrize("flag", ["--config-dir", "-cd", "--config-dir="])
def test_options_of_a_config_folder_of_ones_own_are_listed(tmp_path, capsys, flag):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").touch()
    given = [f"{flag}{tmp_path}"] if flag.endswith("=") else [flag, str(tmp_path)]
    show_help([*given, "--help", "model=mine"])
    assert re.search(r"^  model: .*lpformer, mine, mixture", capsys.readouterr().out, flags=re.M)


@pytest.mark.command
def test_help_waits_for_no_library():
    code = (
        "import sys; sys.argv = ['runner', '--help']; from runner.__main__ import main; main()\n"
        "print({'hydra', 'omegaconf', 'pydantic', 'torch'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
