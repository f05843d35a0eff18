import pytest
from omegaconf import open_dict
from tests.test_configs import composed

from runner.errors import RunnerError
from runner.validate import resolve


class Scorer:
    """A predictor of the user's own, known by its signature alone."""

    def __init__(self, *, width: int, rate: float = 0.1) -> None:
        self.width = width


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
    with pytest.raises(RunnerError, match=r"model\._target_: 'models\.ncn\.NNC' cannot be"):
        resolve(composed("model._target_=models.ncn.NNC"))
    with pytest.raises(RunnerError, match=r"encoder\.convolution\.path: 'models\.nothing"):
        resolve(composed("encoder.convolution.path=models.nothing.X"))


def test_a_missing_value_is_named():
    with pytest.raises(RunnerError, match=r"dataset\.path: a value is needed; give dataset\.path="):
        resolve(composed("dataset=edges"))


def test_an_interpolation_to_nowhere_is_named():
    with pytest.raises(RunnerError, match=r"train\.epochs: .*nowhere"):
        resolve(composed("train.epochs=${nowhere}"))


def test_booleans_are_no_integers():
    with pytest.raises(RunnerError, match=r"train\.epochs: True"):
        resolve(composed("train.epochs=true"))
