import pytest
from hydra import compose, initialize_config_module
from hydra.core.hydra_config import HydraConfig

from runner.config import resolvers
from runner.config.resolvers import name_of


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/graph.csv.gz", "graph"),
        ("acme.v2.TSV", "acme.v2"),
        ("CollegeMsg.txt.zst", "CollegeMsg"),
        ("konect/out.ucidata-zachary", "ucidata-zachary"),
        ("out.csv", "csv"),
        ("a:b?.csv", "a_b_"),
        ("müller graph.csv", "müller graph"),
        ("...csv", "graph"),
    ],
)
def test_a_graph_is_called_as_its_file(path, name):
    assert name_of(path) == name


def names(*overrides: str) -> tuple[str, str]:
    resolvers.register()
    with initialize_config_module("runner.conf", version_base="1.3"):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    folder = config.hydra.run.dir  # in which run.dataset stands
    return config.dataset.name, folder.split("/")[1]


def test_the_folder_has_the_name_that_is_given_or_that_of_the_file():
    edges = "dataset=edges"
    assert names(edges, "dataset.path=a/graph.csv.gz") == ("graph", "graph")
    assert names(edges, "dataset.path=graph.csv", "dataset.name=acme") == ("acme", "acme")
    assert names(edges) == ("graph", "graph")  # the missing path is refused later, in words
    assert names("dataset=cora") == ("cora", "cora")
    assert names("dataset=cora", "dataset.name=acme") == ("acme", "cora")  # no graph of one's own
