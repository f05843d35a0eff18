from __future__ import annotations

from functools import partial

import pytest
import torch

from runner.ops.hash import mix, uniform
from runner.ops.overlap import NeighbourLists
from runner.ops.sample import sample_neighbours

# Lists of 0, 3, 1, 5 and 0 nodes.
LISTS = NeighbourLists(torch.tensor([0, 0, 3, 4, 9, 9]), torch.tensor([2, 5, 7, 1, 0, 3, 4, 6, 8]))


with_replacement = partial(sample_neighbours, replacement=True)
without_replacement = partial(sample_neighbours, replacement=False)
either = pytest.mark.parametrize("sample", [with_replacement, without_replacement])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(lists, weight):
    return [
        dict(zip(lists.node[a:b].tolist(), weight[a:b].tolist(), strict=True))
        for a, b in lists.rowptr.unfold(0, 2, 1).tolist()
    ]


@either
def test_short_lists_are_kept_whole(sample):
    lists, weight = sample(LISTS, 5, generator())
    assert torch.equal(lists.rowptr, LISTS.rowptr)
    assert torch.equal(lists.node, LISTS.node)
    assert weight.tolist() == [1.0] * 9


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_long_lists_are_drawn_from_with_replacement(k):
    given = rows(LISTS, torch.ones(9))
    for seed in range(20):
        lists, weight = with_replacement(LISTS, k, generator(seed))
        for before, after in zip(given, rows(lists, weight), strict=True):
            if len(before) <= k:
                assert after == before
                continue
            assert after.keys() <= before.keys()
            assert list(after) == sorted(after)
            # Each of the k draws weighs n / k, repeats add up.
            assert sum(after.values()) == pytest.approx(len(before))
            share = torch.tensor(list(after.values())) * k / len(before)
            torch.testing.assert_close(share, share.round())


def test_repeats_happen_and_add_up():
    weights = [
        value
        for seed in range(50)
        for value in rows(*with_replacement(LISTS, 2, generator(seed)))[3].values()
    ]
    assert {2.5, 5.0} == set(weights)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_long_lists_are_drawn_from_without_replacement(k):
    given = rows(LISTS, torch.ones(9))
    drawn = set()
    for seed in range(20):
        lists, weight = without_replacement(LISTS, k, generator(seed))
        for before, after in zip(given, rows(lists, weight), strict=True):
            if len(before) <= k:
                assert after == before
                continue
            assert len(after) == k and after.keys() <= before.keys()
            assert list(after) == sorted(after)
            assert list(after.values()) == pytest.approx([len(before) / k] * k)
        drawn.add(tuple(lists.node.tolist()))
    assert len(drawn) > 3


@either
def test_unbiased(sample):
    """Over many draws every node's mean weight is 1."""
    total = torch.zeros(9)
    seeded = generator()
    trials = 4000
    for _ in range(trials):
        lists, weight = sample(LISTS, 2, seeded)
        total.index_add_(0, lists.node, weight)
    # The standard error of a mean weight is at most sqrt(5 / 2 / 4000) = 0.025.
    assert (total / trials - 1).abs().max() < 0.1


@either
def test_same_seed_same_draw(sample):
    first, second = (sample(LISTS, 2, generator(3)) for _ in range(2))
    assert torch.equal(first[0].node, second[0].node)
    assert torch.equal(first[1], second[1])
    moving = generator(3)
    draws = {tuple(sample(LISTS, 2, moving)[0].node.tolist()) for _ in range(10)}
    assert len(draws) > 1


@either
def test_default_generator_is_left_alone(sample):
    before = torch.get_rng_state()
    sample(LISTS, 2, generator())
    assert torch.equal(before, torch.get_rng_state())


@either
def test_nothing_to_draw_from(sample):
    empty = NeighbourLists(torch.tensor([0]), torch.zeros(0, dtype=torch.int64))
    lists, weight = sample(empty, 2, generator())
    assert lists.rowptr.tolist() == [0]
    assert weight.shape == (0,)


def test_k_must_be_positive():
    with pytest.raises(ValueError, match="at least 1"):
        with_replacement(LISTS, 0, generator())


@either
def test_what_a_key_draws_depends_on_its_list_alone(sample):
    keys = mix(0, torch.arange(5), torch.arange(5))
    whole = rows(*sample(LISTS, 2, keys))
    for number, row in enumerate(whole):
        begin, end = LISTS.rowptr[number : number + 2].tolist()
        alone = NeighbourLists(torch.tensor([0, end - begin]), LISTS.node[begin:end])
        assert rows(*sample(alone, 2, keys[number : number + 1])) == [row]


@either
def test_keys_draw_without_bias(sample):
    trials = 4000
    one = NeighbourLists(torch.arange(trials + 1) * 5, torch.arange(5).repeat(trials))
    keys = mix(7, torch.arange(trials), torch.zeros(trials, dtype=torch.int64))
    lists, weight = sample(one, 2, keys)
    total = torch.zeros(5).index_add_(0, lists.node, weight)
    assert (total / trials - 1).abs().max() < 0.1


def test_hashed_numbers_are_uniform_and_differ_by_every_integer():
    numbers = uniform(mix(1, torch.arange(200).unsqueeze(1), torch.arange(200)))
    assert numbers.min() >= 0 and numbers.max() < 1 and numbers.unique().numel() == 40_000
    assert abs(numbers.mean() - 0.5) < 0.01 and abs(numbers.var() - 1 / 12) < 0.01
    assert not torch.equal(numbers, numbers.T)
