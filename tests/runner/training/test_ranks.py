import pytest
import torch

from runner.models.seeded import SeededModule
from runner.training.ranks import ALONE, Group


def draw(rank: int, moment: tuple[int, int]) -> tuple[list[float], list[float]]:
    """What process `rank` draws, from the default generator and the model's, inside and after."""
    torch.manual_seed(3)
    ranks, model = object.__new__(Group), SeededModule(7)
    ranks.rank, ranks.moment = rank, moment
    with ranks.own_chance(model):
        inside = [torch.rand(()).item(), torch.rand((), generator=model.generator).item()]
    return inside, [torch.rand(()).item(), torch.rand((), generator=model.generator).item()]


def test_own_chance_differs_by_process_and_moment_and_leaves_no_trace():
    first, after = draw(0, (1, 1))
    assert draw(0, (1, 1)) == (first, after)
    for rank, moment in ((1, (1, 1)), (0, (1, 2)), (0, (2, 1))):
        other, other_after = draw(rank, moment)
        assert all(a != b for a, b in zip(first, other, strict=True))
        assert other_after == after


def test_modules_that_draw_alike_keep_their_generator():
    class Alike(SeededModule):
        alike = True

    drawn = []
    for rank in range(2):
        ranks, model = object.__new__(Group), Alike(7)
        ranks.rank, ranks.moment = rank, (1, 1)
        with ranks.own_chance(model):
            drawn.append(torch.rand(2, generator=model.generator))
        drawn.append(torch.rand(2, generator=model.generator))
    assert torch.equal(drawn[0], drawn[2]) and torch.equal(drawn[1], drawn[3])
    assert not torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize("size", [2, 3])
def test_shares_cover_every_pair_once(size):
    pairs = torch.arange(14).view(2, 7)
    shares = []
    for rank in range(size):
        ranks = object.__new__(Group)
        ranks.rank, ranks.size = rank, size
        shares.append(ranks.share(pairs))
    assert torch.equal(torch.cat(shares, dim=1), pairs)
    assert ALONE.share(pairs) is pairs
