"""A sweep on every launcher: its jobs run in other processes than the sweep."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
from omegaconf import OmegaConf
from submitit.slurm.slurm import _make_sbatch_string
from tests.runner.sweeps.test_sweeper import QUICK, jobs, start, states

NO_RAY = importlib.util.find_spec("hydra_plugins.hydra_ray_launcher") is None


@pytest.mark.command
@pytest.mark.soak
def test_joblib_divides_the_threads(tmp_path):
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    process = start("-m", *launcher, "seed=0,1,-1", *QUICK)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 1 and states() == ["done", "done", "failed"], out
    cores = len(os.sched_getaffinity(0))
    text = (Path("sw") / jobs()[0].folder / "config.yaml").read_text()
    assert f"threads: {max(1, cores // 2)}\n" in text


@pytest.mark.command
def test_submitit_runs_jobs_on_this_machine(tmp_path):
    process = start("-m", "hydra/launcher=submitit_local", "seed=0,-1", *QUICK)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 1 and states() == ["done", "failed"], out


def test_the_slurm_preset_is_what_sbatch_gets(tmp_path):
    with initialize_config_module("runner.conf", version_base="1.3"):
        config = compose(
            "config",
            overrides=["hydra/launcher=slurm", "hydra.launcher.partition=gpu"],
            return_hydra_config=True,
        )
    raw = OmegaConf.to_container(config.hydra.launcher, resolve=False)
    node = {**raw, "submitit_folder": str(tmp_path), "name": "runner"}
    launcher = SlurmLauncher(**{k: v for k, v in node.items() if k != "_target_"})
    # As its `launch` does: without its own parameters, some with Slurm's prefix.
    given = {k: v for k, v in launcher.params.items() if v is not None}
    ours = ("submitit_folder", "max_num_timeout", "name", "timeout_min", "stderr_to_stdout",
            "tasks_per_node")  # fmt: skip
    script = _make_sbatch_string(
        "true",
        str(tmp_path),
        job_name=given["name"],
        time=given["timeout_min"],
        ntasks_per_node=given["tasks_per_node"],
        mem=f"{given.pop('mem_gb')}GB",
        **{k: v for k, v in given.items() if k not in ours},
    )
    for line in ("--partition=gpu", "--gpus-per-node=1", "--time=240", "--requeue",
                 "--signal=USR2@120", "--open-mode=append", "--mem=32GB"):  # fmt: skip
        assert f"#SBATCH {line}\n" in script, script


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """The address of a Ray cluster that ends with the test."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else it takes a token of its own process
    code = (
        "import ray, sys; found = ray.init(num_cpus=2, include_dashboard=False)\n"
        "print(found.address_info['address'], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=tmp_path.parent,
    ) as process:  # fmt: skip
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.mark.command
@pytest.mark.soak
@pytest.mark.skipif(NO_RAY, reason="needs the extra: pip install 'link-runner[ray]'")
def test_ray_runs_jobs_on_a_cluster(tmp_path, cluster):
    launcher = ("hydra/launcher=ray_cluster", f"hydra.launcher.ray.init.address={cluster}")
    process = start("-m", *launcher, "seed=0,-1", *QUICK)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 1 and states() == ["done", "failed"], out
    assert "threads: 1\n" in (Path("sw") / jobs()[0].folder / "config.yaml").read_text()
