import torch

from runner.seeding import Generators


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
