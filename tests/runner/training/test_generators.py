import pytest
import torch
from tests.test_configs import resolved

from runner.config.schema import RunConfig
from runner.experiment.parts import assemble
from runner.training.generators import Generators
from runner.training.ranks import ALONE


def draw(generators):
    return (
        torch.rand(3, generator=generators.batches).tolist(),
        torch.rand(3, generator=generators.negatives).tolist(),
        torch.rand(3).tolist(),
    )


def test_each_source_has_its_own_seed():
    one = draw(Generators(batches=1, negatives=2, dropout=3))
    other = draw(Generators(batches=1, negatives=5, dropout=3))
    assert one[0] == other[0] and one[1] != other[1] and one[2] == other[2]


def test_state_restores_every_generator():
    generators = Generators(batches=1, negatives=2, dropout=3)
    draw(generators)
    state, draws = generators.state(), generators.draws()
    expected = draw(generators)
    generators.restore(state)
    assert draw(generators) == expected
    generators.restore_draws(draws)
    again = draw(generators)
    assert again[:2] == expected[:2] and again[2] != expected[2]


SOURCES = ("split", "initialisation", "batches", "negatives", "dropout", "completion")


def chances(tmp_path, *overrides):
    """What each source of chance in a run decides, as bytes."""
    config = resolved(
        "dataset=lesmis", "model=ncnc", "model.completion.keep_train=2", *overrides
    )  # fmt: skip
    parts = assemble(RunConfig.read(config), tmp_path, ALONE)
    weights = [p.detach().numpy().tobytes() for p in parts.training.model.parameters()]
    # Before an epoch's draws: the targets of another split would be other batches.
    batches, negatives, dropout = draw(parts.training.generators)
    return {
        "split": parts.data.fingerprint,
        "initialisation": weights,
        "batches": batches,
        "negatives": negatives,
        "dropout": dropout,
        "completion": parts.training.model.predictor.completion.get_extra_state().tolist(),
    }


@pytest.mark.parametrize("name", SOURCES)
def test_each_seed_of_a_run_can_be_varied_alone(tmp_path, name):
    one, other = chances(tmp_path), chances(tmp_path, f"seeds.{name}=5")
    assert [source for source in SOURCES if one[source] != other[source]] == [name]
    torch.use_deterministic_algorithms(False)


def test_the_seed_of_a_run_varies_them_all(tmp_path):
    one, other = chances(tmp_path), chances(tmp_path, "seed=5")
    assert all(one[source] != other[source] for source in SOURCES)
    torch.use_deterministic_algorithms(False)
