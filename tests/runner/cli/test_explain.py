import sys

import pytest
from hydra.errors import MissingConfigException

from runner.cli.explain import explain


@pytest.mark.parametrize("name", ["hydra/launcher/ray", "hydra/launcher/ray_cluster"])
def test_ray_without_its_extra_names_the_extra(name, monkeypatch):
    monkeypatch.delitem(sys.modules, "hydra_plugins.hydra_ray_launcher", raising=False)
    error = MissingConfigException("no such file", name, ["basic", "joblib"])
    assert "pip install 'link-runner[ray]'" in explain(error, [])


def test_an_unknown_launcher_names_those_there_are():
    error = MissingConfigException("no such file", "hydra/launcher/rey", ["basic", "joblib"])
    assert explain(error, []).endswith("no such hydra/launcher; known: basic, joblib")
