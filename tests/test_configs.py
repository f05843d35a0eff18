"""Every YAML below conf/ composes, is valid, and builds; the schema is the code's signature."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_module
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object

from runner.config import resolvers
from runner.config.flat import flat
from runner.config.schema import RunConfig
from runner.config.signatures import signature
from runner.config.validate import resolve
from runner.data.whole_graph import WholeGraph
from runner.errors import RunnerError
from runner.experiment.build import build, build_model
from runner.training.generators import Generators

CONF = Path(__file__).parents[1] / "conf"
NO_GROUPS = ("hydra", "local", "published")  # the last is a part of a protocol
GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir() and p.name not in NO_GROUPS)
OPTIONS = [
    f"{group}={path.stem}"
    for group in GROUPS
    if group != "__pycache__"
    for path in sorted((CONF / group).glob("*.yaml"))
]
DATASETS = [option.split("=")[1] for option in OPTIONS if option.startswith("dataset=")]
MODELS = [option.split("=")[1] for option in OPTIONS if option.startswith("model=")]


def composed(*overrides: str):
    resolvers.register()
    with initialize_config_module("runner.conf", version_base="1.3"):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    del config._content["hydra"]
    return config


def resolved(*overrides: str):
    if "dataset=edges" in overrides:
        overrides = (*overrides, "dataset.path=graph.csv")
    if "encoder=none" in overrides:
        overrides = (*overrides, "model=cn")
    if {"sampler=none", "negatives=none"} & set(overrides):
        overrides = (*overrides, "objective=dense_reconstruction")
    if {"objective=validation", "negatives=validation"} & set(overrides):
        overrides = (*overrides, "model=mixture")
    if "model=mixture" in overrides:
        overrides = (*overrides, "model.runs=[outputs/one,outputs/other]")
    if "model=none" in overrides:
        overrides = (*overrides, "evaluator=none")
    if "protocol=buddy" in overrides:
        overrides = (*overrides, "dataset=cora")
    if {"protocol=official", "protocol=base"} & set(overrides):
        overrides = (*overrides, "dataset=ogbl-ddi")
    # They read features as few datasets do.
    if overrides in [("protocol=refined_gae",), ("protocol=forward_gnn",), ("protocol=topology",)]:
        overrides = (*overrides, "dataset=cora")
    return resolve(composed(*overrides))


def assert_builds(config, *, num_features, num_categories):
    model = build_model(
        RunConfig.read(config),
        num_features=num_features,
        num_categories=num_categories,
        num_nodes=11,
    )
    has_parameters = any(parameter.requires_grad for parameter in model.parameters())
    assert has_parameters or config["train"]["epochs"] == 0
    build("tracker", config["tracker"])
    build("negatives", config["negatives"])
    build("evaluator", config["evaluator"])


# Models and datasets have each other below.
@pytest.mark.parametrize("option", [o for o in OPTIONS if not o.startswith(("model=", "dataset="))])
def test_every_option_composes_and_its_graph_builds(option):
    assert_builds(resolved(option), num_features=5, num_categories=None)


def assert_pair_builds(model, dataset, hyperparameters):
    config = resolved(f"model={model}", f"dataset={dataset}", f"hyperparameters={hyperparameters}")
    assert config["run"]["model"] == model
    assert_builds(config, num_features=3, num_categories=7)


def paired(start):
    """Every model with some dataset."""
    return [(model, DATASETS[i % len(DATASETS)]) for i, model in enumerate(MODELS, start)]


# ncn and ncnc take different published columns.
FEW_PAIRS = {
    *((*pair, "published") for pair in paired(0)),
    *((*pair, "default") for pair in paired(3)),
    *((model, dataset, "published") for model in ("ncn", "ncnc") for dataset in DATASETS),
}


@pytest.mark.parametrize(("model", "dataset", "hyperparameters"), sorted(FEW_PAIRS))
def test_every_model_and_every_dataset_compose_and_build(model, dataset, hyperparameters):
    assert_pair_builds(model, dataset, hyperparameters)


# Of all pairs of a model and a dataset an eighth, two or three of each model.
SOME = [(m, d) for i, m in enumerate(MODELS) for j, d in enumerate(DATASETS) if (i + j) % 8 == 0]


@pytest.mark.soak
@pytest.mark.parametrize(("model", "dataset"), SOME)
def test_some_pairs_resolve_for_published_and_default(model, dataset):
    for hyperparameters in ("published", "default"):
        assert_pair_builds(model, dataset, hyperparameters)


@pytest.mark.parametrize("sampler", ["plain", "target_link_removal", "auto"])
def test_samplers_build(sampler):
    from runner.ops.csr import Graph

    config = resolved(f"sampler={sampler}", "train.batch_size=2")
    edges = torch.tensor([[0, 1, 2], [1, 2, 3]])
    built = build(
        "sampler",
        config["sampler"],
        graph=Graph.from_edges(edges, 6),
        targets=edges,
        negatives=build("negatives", config["negatives"]),
        generators=Generators(batches=0, negatives=0, dropout=0),
    )
    assert len(list(built.epoch())) == 1


TARGETS = sorted({
    target
    for path in CONF.rglob("*.yaml")
    for target in re.findall(r"(runner\.[\w.]+\.[A-Za-z_]\w*)", path.read_text())
    if "_target_" in path.read_text() and not target.startswith("runner.conf")
})  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_the_signature_read_from_the_source_is_that_of_the_import(target):
    read, real = signature(target), inspect.signature(get_object(target)).parameters.values()
    # nn.Module's own *args and **kwargs take nothing.
    named = [p for p in real if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    assert list(read.parameters) == [p.name for p in named]
    required = {name for name, parameter in read.parameters.items() if parameter.required}
    assert required == {p.name for p in named if p.default is p.empty}


def test_published_columns_name_real_keys():
    """Every entry of a column is asked for by some `${tuned:…}`."""
    text = "".join(path.read_text() for path in CONF.rglob("*.yaml"))
    asked = set(re.findall(r"\$\{tuned:([a-z_.]+),", text))
    for path in CONF.rglob("published/**/*.yaml"):
        content = yaml.safe_load(path.read_text())
        for column in (content.get("tuned", {}), *content.get("tuned_for", {}).values()):
            names = {key for key in flat(column, ".") if key.rpartition(".")[0] not in asked}
            assert names <= asked, (path, names - asked)


def test_re_weighting_is_an_option_whose_columns_are_by_encoder():
    assert resolved("model=gae")["train"]["reweight"] is None
    found = {}
    for kind in ("gcn", "sage"):
        setting = ("dataset=cora", "protocol=topology", "model=hadamard_mlp", f"encoder={kind}")
        config = resolved(*setting, "train.reweight=topology", "train.reweight.interval=4")
        found[kind] = config["train"]["reweight"]
        assert config["encoder"]["unit_length"] is (kind == "sage")
        assert resolved(*setting)["train"]["reweight"] is None
    expected = {"gcn": (2.0, 4, 1, "gcn"), "sage": (0.2, 4, 2, "sage")}
    keys = ("alpha", "interval", "warm_up", "source")
    assert {kind: tuple(of[key] for key in keys) for kind, of in found.items()} == expected


def test_published_values_arrive_and_overrides_win():
    config = resolved("model=ncnc", "dataset=cora")
    assert config["encoder"]["hidden"] == 256
    assert config["encoder"]["convolution"]["path"] == "runner.models.convolution.PureGCN"
    assert config["model"]["completion"]["s"] == 4.3
    assert config["train"]["batch_size"] == 1152
    config = resolved("model=ncnc", "dataset=cora", "model.completion.s=1.5", "encoder=gcn")
    assert config["model"]["completion"]["s"] == 1.5
    assert config["encoder"]["convolution"]["path"] == "runner.models.convolution.GCN"
    assert config["encoder"]["hidden"] == 256
    config = resolved("model=ncnc", "dataset=cora", "hyperparameters=default")
    assert config["encoder"]["hidden"] == 64
    assert config["encoder"]["convolution"]["path"] == "runner.models.convolution.GCN"


def test_the_layers_learn_as_the_release_has_it():
    given = ("dataset=cora", "protocol=forward_gnn")
    sums, goodness, own, baseline = (
        resolved(*given, *others)
        for others in (
            ["model=forward_gnn"],
            ["model=forward_forward"],
            ["model=forward_gnn", "objective=forward_forward", "objective.threshold=1.5"],
            ["model=inner_product", "encoder=sage"],
        )
    )
    assert sums["encoder"]["_target_"] == goodness["encoder"]["_target_"]
    assert [c["model"].get("threshold") for c in (sums, goodness, own)] == [None, 2.0, 1.5]
    assert [c["train"]["weight_decay"] for c in (sums, goodness)] == [0.001, 0.0005]
    assert baseline["objective"]["_target_"].endswith(".LinkPrediction")
    assert not baseline["encoder"]["activate_single"] and not baseline["negatives"]["redraw"]
    # CoraML's 8,158 links.
    edges = torch.combinations(torch.arange(200)).T[:, :8158]
    split = build("protocol.split", sums["protocol"]["split"]).split(WholeGraph.of(edges, 200))
    sizes = [part.shape[1] for part in (split.train, split.valid.positive, split.test.positive)]
    assert sizes == [5222, 1305, 1631]


def test_under_heart_a_gae_is_its_inner_product():
    """Elsewhere it stays the NCN release's; whoever derives from that keeps it under HeaRT too."""
    heart, other = ("model=gae", "dataset=citeseer", "protocol=heart"), ("model=gae",)
    assert resolved(*heart)["model"] == {"_target_": "runner.models.inner_product.InnerProduct"}
    assert resolved(*other)["model"]["_target_"] == "runner.models.gae.GAE"
    assert resolved(*heart)["encoder"]["residual"] is False
    off = "hyperparameters=default"  # what a model is, no hyper-parameter
    for node, target in {
        "objective": "DenseReconstruction", "sampler": "NoLinks", "negatives": "NoNegatives"
    }.items():  # fmt: skip
        for config in (resolved(*heart), resolved(*heart, off)):
            assert config[node]["_target_"].endswith(f".{target}")
    assert resolved(*heart)["train"]["batch_size"] is None
    assert resolved(*other)["encoder"]["layer_norm"] is True
    chosen = resolved(*heart, "encoder=sage")["encoder"]
    assert chosen["convolution"]["path"] == "runner.models.convolution.SAGE"
    related = resolved("model=ncn", *heart[1:])["model"]
    assert related["_target_"] == "runner.models.ncn.NCN" and "dropout" in related


@pytest.mark.parametrize(
    ("model", "dataset", "settings"),
    [
        ("gcn", "cora", (0.001, 0.5, 0.0, 1, 256)),
        ("gcn", "citeseer", (0.01, 0.5, 1e-7, 1, 256)),
        ("gcn", "pubmed", (0.01, 0.3, 0.0, 1, 256)),
        ("gae", "cora", (0.01, 0.1, 1e-7, 1, 256)),
        ("gae", "citeseer", (0.001, 0.1, 1e-7, 1, 256)),
        ("gae", "pubmed", (0.001, 0.3, 1e-4, 2, 256)),
    ],
)
def test_the_baselines_of_heart_have_their_columns(model, dataset, settings):
    config = resolved(f"model={model}", f"dataset={dataset}", "protocol=heart")
    encoder, train = config["encoder"], config["train"]
    assert settings == (
        train["lr_encoder"], encoder["hidden_dropout"], train["weight_decay"], encoder["layers"],
        encoder["hidden"],
    )  # fmt: skip
    if model == "gcn":
        assert train["lr_predictor"] == settings[0] and config["model"]["dropout"] == settings[1]
        assert config["model"]["layers"] == {"cora": 3}.get(dataset, 2)
    assert encoder["layer_norm"] is encoder["activate_single"] is False
    assert config["protocol"]["published"][model]["metric"] == "mrr"


def test_completion_models_have_their_own_column_where_it_differs():
    assert resolved("model=ncn", "dataset=ogbl-ddi")["train"]["eval_batch_size"] == 131072
    assert resolved("model=ncnc", "dataset=ogbl-ddi")["train"]["eval_batch_size"] == 24576


def test_a_protocol_may_have_a_column_for_each_model():
    heart = ("dataset=citeseer", "protocol=heart")
    ncn, ncnc = (resolved(f"model={model}", *heart) for model in ("ncn", "ncnc"))
    assert (ncn["model"]["dropout"], ncn["train"]["weight_decay"]) == (0.3, 0.0)
    assert (ncnc["model"]["dropout"], ncnc["train"]["weight_decay"]) == (0.5, 1e-7)
    assert ncnc["model"]["completion"]["s"] == 6.5 and ncnc["encoder"]["hidden"] == 256
    assert ncn["negatives"]["_target_"].endswith("UniformNonEdges")
    assert (ncn["sampler"]["drop_last"], ncn["train"]["clip_norm"]) == (True, None)
    other = resolved("model=gcn", *heart)  # what the protocol has for every model
    assert other["negatives"]["_target_"].endswith("UniformPairs")
    assert (other["sampler"]["drop_last"], other["train"]["clip_norm"]) == (False, 1.0)
    for config in (ncn, ncnc, other):
        train = config["train"]
        assert (train["epochs"], train["evaluate_every"], train["batch_size"]) == (9999, 5, 1024)
        # The 11th evaluation without a better one is the 55th epoch after the best.
        assert train["patience"] == 11 * train["evaluate_every"]
    assert resolved("model=ncn", *heart, "train.patience=7")["train"]["patience"] == 7
    assert resolved("model=katz", *heart)["model"]["max_length"] == 10
    assert resolved("model=katz", "dataset=citeseer")["model"]["max_length"] == 6
    off = resolved("model=ncn", *heart, "hyperparameters=default")
    assert (off["train"]["patience"], off["train"]["evaluate_every"]) == (None, 1)


def test_refined_gae_is_trained_the_same_where_nothing_is_published_of_it():
    """Only the data and the figure differ between its own protocol and NCN's."""
    own, other = (
        resolved("model=refined_gae", "dataset=cora", f"protocol={protocol}")
        for protocol in ("refined_gae", "random")
    )
    for section in ("train", "encoder", "model", "negatives", "sampler"):
        assert own[section] == other[section], section
    assert own["train"]["optimizer"] == {"_target_": "torch.optim.AdamW"}
    assert own["train"]["schedule"]["epochs"] == 100 and own["negatives"]["per_positive"] == 3
    assert own["model"]["activation"] == "silu" and own["encoder"]["hidden"] == 1024
    assert own["protocol"]["published"]["refined_gae"]["mean"] == 88.17
    assert "refined_gae" not in other["protocol"]["published"]
    assert own["dataset"]["source"]["normalise_features"] is True
    assert other["dataset"]["source"]["normalise_features"] is False
    ncn = resolved("model=ncn", "dataset=cora")["train"]
    assert ncn["optimizer"] == {"_target_": "torch.optim.Adam"} and ncn["schedule"] is None
    off = resolved("model=refined_gae", "dataset=cora", "hyperparameters=default")
    assert off["negatives"]["per_positive"] == 1


@pytest.mark.parametrize(
    ("dataset", "figure", "source"),
    [
        ("ogbl-ddi", 94.43, {"features": "node_id"}),
        ("ogbl-ppa", 78.41, {"features": "node_id"}),
        ("ogbl-collab", 66.11, {"features": "stored", "min_year": 2011}),
        ("ogbl-citation2", None, {"features": "stored"}),
    ],
)
def test_refined_gae_has_columns_of_its_own_on_ogb(dataset, figure, source):
    config = resolved("model=refined_gae", f"dataset={dataset}")
    assert config["encoder"]["_target_"].endswith("SharedGCN")
    published = config["protocol"]["published"].get("refined_gae")
    assert (published and published["mean"]) == figure
    assert source.items() <= config["dataset"]["source"].items()
    other = resolved("model=ncn", f"dataset={dataset}")["dataset"]["source"]
    assert other.get("min_year") is None
    assert other["features"] == {"ogbl-ddi": "node_id", "ogbl-ppa": "argmax"}.get(dataset, "stored")


def test_hl_gnn_maps_features_to_as_many():
    config = resolved("model=hl_gnn", "dataset=citeseer", "protocol=hl_gnn", "seed=5")
    assert (config["encoder"]["hidden"], config["model"]["width"]) == (3703, 8192)
    assert config["protocol"]["split"]["seed"] == 234  # one split, whatever the seed of the run
    assert config["protocol"]["published"]["hl_gnn"]["mean"] == 94.31


def test_normalised_features_are_refused_where_nothing_reads_them():
    with pytest.raises(RunnerError, match=r"protocol\.normalise_features: true has no effect"):
        resolved("dataset=lesmis", "protocol=refined_gae")


@pytest.mark.parametrize("model", ["gae", "ncn"])
def test_heart_is_no_column_or_figure_of_the_existing_setting(model):
    config = resolved(f"model={model}", "dataset=citeseer", "protocol=heart_existing")
    assert config["protocol"]["published"] == {} and config["train"]["epochs"] == 9999
    assert config["encoder"]["hidden"] == 64


def test_a_warm_start_has_its_own_column():
    scratch = resolved("model=ncnc", "dataset=ogbl-citation2")
    assert scratch["train"]["lr_predictor"] == 0.0058 and scratch["encoder"]["layers"] == 3
    assert scratch["model"]["completion"]["s"] == 7.0
    warm = resolved("model=ncnc", "dataset=ogbl-citation2", "train.init_from=outputs/x")
    assert warm["train"]["lr_predictor"] == 0.001 and warm["encoder"]["layers"] == 0
    assert warm["train"]["init_mode"] == "embeddings"
    assert warm["model"]["completion"]["s"] == 1.4 and warm["model"]["completion"]["replacement"]
    ddi = resolved("model=ncnc", "dataset=ogbl-ddi", "train.init_from=auto")["train"]
    assert (ddi["lr_encoder"], ddi["epochs"], ddi["init_mode"]) == (0.0, 2, "weights")
    # A model without completion has no such column.
    ncn = resolved("model=ncn", "dataset=ogbl-ddi", "train.init_from=auto")["train"]
    assert (ncn["lr_encoder"], ncn["epochs"]) == (0.0021, 100)
