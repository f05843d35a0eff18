"""The package as it is installed: its version, and its names beside those of others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import runner

ROOT = Path(__file__).parents[2]
COMMANDS = ([sys.executable, "-m", "runner"], [str(Path(sys.executable).parent / "runner")])


def run(command: list[str], **options) -> str:
    """What a command writes to standard output.

    Raises:
        AssertionError: if it fails, with what it wrote to standard error.
    """
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.command
@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_prints_its_version(command):
    assert run([*command, "--version"]) == f"runner {version('link-runner')}\n"


@pytest.mark.command
def test_the_version_imports_nothing_heavy():
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "runner", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in shown.stderr.splitlines()}
    assert "runner" in imported and not imported & {"hydra", "omegaconf", "torch", "numpy"}


def test_the_package_knows_its_names_and_nothing_that_it_lacks():
    assert runner.__version__ == version("link-runner")
    for name in runner.__all__:
        assert name in dir(runner) and getattr(runner, name) is not None
    assert not hasattr(runner, "__author__")


@pytest.mark.command
def test_the_import_of_the_package_is_light():
    code = """
import sys, runner
runner.__all__, runner.__doc__, dir(runner), runner.RunnerError
heavy = {"torch", "pandas", "numpy", "hydra", "omegaconf", "scipy"} & set(sys.modules)
assert not heavy, heavy
runner.compare
assert not {"torch", "pandas", "hydra"} & set(sys.modules)
"""
    run([sys.executable, "-c", code])


@pytest.mark.command
def test_packages_of_the_working_directory_stay_what_they_are(tmp_path):
    for name in ("models", "ops"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("whose = 'the folder'\n")
    code = """
import runner.models.ncn, runner.ops.csr
import models, ops
assert models.whose == ops.whose == 'the folder'
assert runner.models is not models and runner.ops is not ops
print(runner.models.ncn.NCN.__module__, runner.ops.csr.Graph.__module__)
"""
    assert run([sys.executable, "-c", code]) == "runner.models.ncn runner.ops.csr\n"
    assert "runner" in run([sys.executable, "-m", "runner", "--help"])


@pytest.mark.soak
def test_the_wheel_runs_from_any_directory_and_installs_two_packages(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    # A copy: building writes beside the sources, and reads what an earlier one has written there.
    leave_out = shutil.ignore_patterns("*.egg-info")
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, Path("source") / name, symlinks=True, ignore=leave_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, "source")
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir=wheels", "./source"])
    (wheel,) = Path("wheels").iterdir()

    run([sys.executable, "-m", "venv", "--without-pip", "fresh"])
    (site,) = Path("fresh").glob("lib/python*/site-packages")
    run([*pip, "--python=fresh/bin/python", "install", "--no-deps", str(wheel)])
    added = {path.name for path in site.iterdir() if not path.name.startswith("link_runner-")}
    assert added == {"runner", "hydra_plugins"}

    # The other packages are those of this environment.
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(others))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    fresh = (Path("fresh") / "bin").absolute()
    where = {"cwd": elsewhere, "env": {**os.environ, "PYTHONPATH": ""}}
    assert run([str(fresh / "runner"), "--version"], **where) == f"runner {runner.__version__}\n"
    code = "import runner.models.ncnc, runner.ops.kernels.pool, runner.conf; print(runner.__file__)"
    assert run([str(fresh / "python"), "-c", code], **where).startswith(str(site.absolute()))
    run([str(fresh / "runner"), "dataset=lesmis", "train.epochs=1", "tracker=none"], **where)
    assert list(elsewhere.glob("outputs/**/summary.json"))
