import sys

import pytest
from hydra import compose, initialize_config_module
from hydra.errors import ConfigCompositionException, MissingConfigException

from runner.cli.explain import explain, with_swept_keys


@pytest.mark.parametrize("name", ["hydra/launcher/ray", "hydra/launcher/ray_cluster"])
def test_ray_without_its_extra_names_the_extra(name, monkeypatch):
    monkeypatch.delitem(sys.modules, "hydra_plugins.hydra_ray_launcher", raising=False)
    error = MissingConfigException("no such file", name, ["basic", "joblib"])
    assert "pip install 'link-runner[ray]'" in explain(error, [])


def test_an_unknown_launcher_names_those_there_are():
    error = MissingConfigException("no such file", "hydra/launcher/rey", ["basic", "joblib"])
    assert explain(error, []).endswith("no such hydra/launcher; known: basic, joblib")


@pytest.mark.parametrize(
    ("arguments", "again"),
    [
        (["-m", "model=ocn,ncn", "model.normaliser=batch"], "model.normaliser=choice(batch)"),
        (["-m", "model=ocn,ncn", "model.normalizer=batch"], None),
        (["-m", "model=ncn,ncnc", "model.normaliser=batch"], None),
        (
            ["-m", "--config-dir", "examples/a b", "model=ocn,ncn", "model.normaliser=batch"],
            "model.normaliser=choice(batch)",
        ),
        (["model=ncn", "model.normaliser=batch"], None),
    ],
)
def test_a_key_of_a_swept_option_is_swept_with_it(arguments, again):
    single = [a for a in arguments if "=" in a and "," not in a]
    with (
        initialize_config_module("runner.conf", version_base="1.3"),
        pytest.raises(ConfigCompositionException) as error,
    ):
        compose("config", overrides=single)
    found = with_swept_keys(error.value, arguments)
    assert found == (again and [*arguments[:-1], again])
