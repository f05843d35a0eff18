import pytest
from omegaconf import OmegaConf, open_dict
from tests.test_configs import composed

from runner.config.validate import absolute, resolve
from runner.errors import RunnerError


class Scorer:
    """A predictor of the user's own, known by its signature alone."""

    def __init__(self, *, width: int, rate: float = 0.1) -> None:
        self.width = width


class Holder:
    """A predictor of the user's own that makes others."""

    def __init__(self, *, scorer: object) -> None:
        self.scorer = scorer


def test_a_good_config_resolves_to_plain_data():
    plain = resolve(composed("model=ncn", "dataset=cora"))
    assert isinstance(plain, dict) and isinstance(plain["model"], dict)
    assert plain["model"]["hidden"] == plain["encoder"]["hidden"] == 256


def test_all_errors_come_at_once_with_their_full_keys():
    config = composed("train.epochs=ten", "+encoder.hiden=3", "model.dropout=1.5", "seed=-1")
    with pytest.raises(RunnerError) as error:
        resolve(config)
    message = str(error.value)
    assert "train.epochs: 'ten'" in message
    assert "encoder.hiden: there is no such key; did you mean encoder.hidden?" in message
    assert "model.dropout: 1.5" in message
    assert "seed: -1" in message


def test_schema_and_signature_errors_share_the_report():
    config = composed("train.epochs=ten", "model=gae")
    with open_dict(config):
        config.model = {"_target_": f"{__name__}.Scorer", "width": "wide", "hidden": 3}
    with pytest.raises(RunnerError) as error:
        resolve(config)
    message = str(error.value)
    assert "train.epochs" in message
    assert "model.width: 'wide'" in message
    assert "model.hidden: there is no such key" in message


def test_a_predictor_of_the_users_own_may_have_its_own_width_and_classes():
    config = composed("model=gae")
    with open_dict(config):
        config.model = {
            "_target_": f"{__name__}.Scorer",
            "width": {"_target_": "hydra.utils.get_class", "path": "torch.nn.ReLU"},
            "hidden": 3,
        }
    with pytest.raises(RunnerError) as error:
        resolve(config)
    # Only what is really wrong: Scorer takes no hidden, and a number for its width.
    assert "no convolution" not in str(error.value) and "not the width" not in str(error.value)


def test_the_place_of_the_data_may_be_given_to_the_source_alone():
    plain = resolve(composed("dataset=cora", "dataset.source.root=/mydata"))
    assert plain["dataset"]["source"]["root"] == "/mydata"


def test_a_target_that_cannot_be_imported():
    with pytest.raises(RunnerError, match=r"model\._target_: 'runner\.models\.ncn\.NNC' cannot be"):
        resolve(composed("model._target_=runner.models.ncn.NNC"))
    with pytest.raises(RunnerError, match=r"encoder\.convolution\.path: 'models\.nothing"):
        resolve(composed("encoder.convolution.path=models.nothing.X"))


def test_a_missing_value_is_named():
    with pytest.raises(RunnerError, match=r"dataset\.path: a value is needed; give dataset\.path="):
        resolve(composed("dataset=edges"))


def test_an_interpolation_to_nowhere_is_named():
    with pytest.raises(RunnerError, match=r"train\.epochs: .*nowhere"):
        resolve(composed("train.epochs=${nowhere}"))


def test_a_key_that_follows_a_group_whose_option_lacks_it():
    with pytest.raises(
        RunnerError, match=r"model.hidden: this follows encoder.hidden, .*NoEncoder"
    ):
        resolve(composed("model=ncn", "encoder=none", "dataset=lesmis"))


def test_booleans_are_no_integers():
    with pytest.raises(RunnerError, match=r"train\.epochs: True"):
        resolve(composed("train.epochs=true"))


@pytest.mark.parametrize("part", ["model", "dataset.source", "encoder.convolution"])
def test_a_part_of_a_run_has_none_of_hydras_own_keys(part):
    keys = [f"{part}.{key}" for key in ("_args_", "_partial_", "_recursive_", "_convert_", "_x_")]
    with pytest.raises(RunnerError) as error:
        resolve(composed(*(f"+{key}=true" for key in keys)))
    assert all(f"{key}: there is no such key" in str(error.value) for key in keys)


def test_a_node_of_the_users_own_may_have_them_where_they_make_sense():
    config = composed("model=gae")
    with open_dict(config):
        part = {"_target_": f"{__name__}.Scorer", "width": 3, "_partial_": True}
        config.model = {"_target_": f"{__name__}.Holder", "scorer": part}
    assert resolve(config)["model"]["scorer"]["_partial_"] is True
    config.model.scorer._partial_ = "maybe"
    with pytest.raises(RunnerError, match=r"model\.scorer\._partial_: 'maybe' does not fit"):
        resolve(config)


@pytest.mark.parametrize("part", ["model", "encoder", "tracker", "protocol.split"])
def test_a_node_without_a_target(part):
    with pytest.raises(RunnerError, match=f"{part}: .* does not fit: it has no _target_"):
        resolve(composed(f"~{part}._target_"))


def test_a_key_that_follows_another_is_not_blamed_for_it():
    with pytest.raises(RunnerError) as error:
        resolve(composed("seed=-1", "train.eval_batch_size=0"))
    assert str(error.value).splitlines()[1:] == [
        "  seed: -1 does not fit: input should be greater than or equal to 0",
        "  train.eval_batch_size: 0 does not fit: input should be greater than 0",
    ]


def test_keys_that_follow_each_other_in_a_circle():
    with pytest.raises(RunnerError, match="seed: an interpolation that leads back to itself"):
        resolve(composed("seed=${seeds.split}"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=${nope:1}", "seed: Unsupported interpolation type nope"),
        ("seed=${tuned:x}", "seed: .*takes a key of a column and a default"),
        ("seed=${oc.env:NO_SUCH_VARIABLE}", "seed: Environment variable 'NO_SUCH_VARIABLE' not"),
        ("seed=${oc.decode:'['}", "seed: it cannot be read"),
        ("+_target_=builtins.print", "_target_: there is no such key"),
        ("model._target_=builtins.dict", "does not say which arguments it takes"),
        ("model._target_=[1]", r"model\._target_: \[1\] is not the dotted path"),
        ("encoder.convolution.path=3", "path: 3 is not the dotted path"),
        ("encoder.convolution.path=runner.models.convolution.Convolution", "is no convolution"),
        ("model._target_=models.nope.X", "'models.nope.X' cannot be imported .No module named"),
        (
            "protocol.metrics=[hits@0]",
            "'hits@0' does not fit: use mrr, auc, ap, node_mrr or hits@K",
        ),
        ("train.grace_seconds=inf", "train.grace_seconds: inf does not fit: .* finite number"),
        ("train.grace_seconds=1e300", "train.grace_seconds: 1e.300 does not fit"),
        ("train.lr_encoder=1e38", "train.lr_encoder: 1e.38 does not fit"),
        ("train.keep_checkpoints=99999999", "train.keep_checkpoints: 99999999 does not fit"),
        ("train.eval_batch_size=9999999999999999999999", "eval_batch_size: 9999.* does not fit"),
        ("encoder.layers=100000", "encoder.layers: 100000 does not fit"),
        ("encoder.hidden=100000", "encoder.hidden: 100000 does not fit"),
        ("model.completion.t=inf", "model.completion.t: inf does not fit"),
        ("model.beta=nan", "model.beta: nan does not fit"),
        ("run.cache=", "run.cache: '' does not fit"),
        ("dataset.name=a/b", r"dataset\.name: 'a/b' does not fit: it is one word .* without /"),
        ("run.model=../x", r"run\.model: '\.\./x' does not fit: it is a part of the run folder"),
        ("protocol.split.valid_negatives=1e300", "valid_negatives: 1e.300 does not fit"),
        ("protocol.tuned=null", "protocol.tuned: None does not fit: input should be a valid dict"),
    ],
)
def test_values_that_pass_for_good_ones(override, message):
    dataset = [] if override.startswith(("dataset", "protocol")) else ["dataset=lesmis"]
    with pytest.raises(RunnerError, match=message) as error:
        resolve(composed(*dataset, override))
    assert "instance of" not in str(error.value)


def test_a_home_that_does_not_exist_is_a_path_as_any_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("~nobody-of-that-name/x") == str(tmp_path / "~nobody-of-that-name" / "x")


@pytest.mark.parametrize("key", ["dataset.separator", "dataset.encoding"])
def test_an_empty_word_on_a_table_is_refused(key):
    with pytest.raises(RunnerError, match=f"{key}: '' does not fit"):
        resolve(composed("dataset=edges", "dataset.path=graph.csv", f"{key}="))


# Keys that came with a default, which older configs of one's own may lack.
SILENT = {
    "model.beta", "model.depth", "model.pool", "encoder.sparse_embedding",
    "encoder.activate_single",
    "encoder.activation", "encoder.embedding", "encoder.unit_length", "encoder.augment",
    "encoder.augment_by", "encoder.augment_sets", "encoder.augment_join", "encoder.augment_seed",
} | {
    f"model.completion.{key}"
    for key in ("replacement", "draw_eval", "dropout", "memory_gib", "precision")
}  # fmt: skip


@pytest.mark.parametrize("name", ["model", "model.completion", "encoder"])
def test_a_missing_key_is_told_although_python_has_a_default(name):
    for key in OmegaConf.select(composed("model=ncnc"), name):
        if key == "_target_" or f"{name}.{key}" in SILENT:
            continue
        config = composed("model=ncnc")
        with open_dict(config):
            del OmegaConf.select(config, name)[key]
        with pytest.raises(RunnerError, match=rf"{name}\.{key}: a value is needed"):
            resolve(config)
