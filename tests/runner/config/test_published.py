from hydra.core.hydra_config import HydraConfig
from tests.test_configs import composed

from runner.config.published import origins, untuned_note


def found(*overrides):
    config = composed(*overrides)
    choices = HydraConfig.get().runtime.choices
    return config, {origin.key: origin for origin in origins(config, overrides, choices)}


def test_origins_say_column_default_or_override():
    _, values = found("model=ncnc", "dataset=cora", "model.completion.s=1.5")
    assert values["encoder.hidden"].source == "published column"
    assert values["encoder.hidden"].value == 256
    assert values["train.clip_norm"].source == "default"
    assert values["model.completion.s"].source == "override"
    assert values["sampler._target_"].source == "published column"


def test_an_option_is_an_origin():
    _, values = found("model=ncn", "dataset=cora", "encoder=gcn", "sampler=plain")
    assert values["encoder.convolution.path"].source == "encoder=gcn"
    assert values["sampler._target_"].source == "sampler=plain"
    assert values["encoder.hidden"].source == "published column"


def test_a_value_of_a_config_file_is_told():
    config = composed("model=ncn", "dataset=cora")
    config.train.lr_encoder = 0.1  # as a preset in conf/experiment would
    values = {o.key: o for o in origins(config, [], HydraConfig.get().runtime.choices)}
    assert values["train.lr_encoder"].source == "config file"


def test_a_dataset_of_ours_has_no_published_column():
    _, values = found("model=ncn", "dataset=synthetic")
    assert values["train.epochs"].source == "dataset"


def test_off_means_defaults_everywhere():
    config, values = found("model=ncnc", "dataset=cora", "hyperparameters=default")
    assert {origin.source for origin in values.values()} == {"default"}
    assert "documented defaults" in untuned_note(config, list(values.values()))


def test_an_untuned_pair_says_so_in_one_line():
    config, values = found("model=ncn", "dataset=lesmis")
    note = untuned_note(config, list(values.values()))
    assert note.startswith("no published hyper-parameters for ncn on lesmis")
    assert "\n" not in note


def test_a_tuned_pair_says_nothing():
    config, values = found("model=ncn", "dataset=citeseer")
    assert untuned_note(config, list(values.values())) is None


def test_a_model_that_asks_no_column_is_not_said_to_lack_one():
    # Its max_length has the name of a key that another model asks a column for.
    config, values = found("model=shortest_path", "dataset=citeseer")
    assert untuned_note(config, list(values.values())) is None
