from __future__ import annotations

import math

import pytest
import torch

from runner.ops.aggregate import pool
from runner.ops.csr import offsets
from runner.ops.tree import Trees, reduce_lists

LENGTHS = [3, 0, 1, 8, 2, 0, 5, 33, 1, 4]


def lists(lengths=LENGTHS):
    rowptr = offsets(torch.tensor(lengths))
    return torch.randn(int(rowptr[-1]), 3, generator=torch.manual_seed(0)).double(), rowptr


def reduced(combine, lengths=LENGTHS):
    x, rowptr = lists(lengths)
    return reduce_lists(x, rowptr, combine, empty=x.new_zeros(3))


def mean(x, y):
    return (x + y) / 2


@pytest.mark.parametrize(("combine", "name"), [(torch.add, "sum"), (torch.maximum, "max")])
def test_with_a_sum_or_a_maximum_it_is_a_pool(combine, name):
    x, rowptr = lists()
    expected = pool(x, rowptr, torch.arange(len(x)), reduce=name)
    torch.testing.assert_close(reduced(combine), expected)


@pytest.mark.parametrize(
    ("length", "shares"),
    [
        (1, [1]),
        (3, [1 / 4, 1 / 4, 1 / 2]),
        (5, [1 / 8] * 4 + [1 / 2]),
        (6, [1 / 8] * 4 + [1 / 4] * 2),
    ],
)
def test_neighbours_are_combined_and_an_odd_last_one_stays_last(length, shares):
    x, _ = lists([length])
    expected = torch.tensor(shares).double() @ x
    torch.testing.assert_close(reduced(mean, [length])[0], expected)


def test_a_list_is_reduced_alone_and_as_deep_as_it_is_long():
    """Whatever lists stand beside it: padding would show here."""
    x, rowptr = lists()
    found = reduced(mean)
    for number, length in enumerate(LENGTHS):
        rows = x[rowptr[number] : rowptr[number + 1]]
        alone = reduce_lists(rows, offsets(torch.tensor([length])), mean, empty=x.new_zeros(3))
        assert torch.equal(alone[0], found[number])
        depth = len(Trees.of(offsets(torch.tensor([length]))).levels)
        assert depth == math.ceil(math.log2(max(1, length)))


def test_each_pair_is_combined_once():
    trees = Trees.of(lists()[1])
    combined = sum(level.left.numel() for level in trees.levels)
    assert combined == sum(LENGTHS) - sum(length > 0 for length in LENGTHS)


def test_what_is_empty_or_single():
    x, rowptr = lists()
    found = reduce_lists(x, rowptr, mean, empty=torch.full((3,), 7.0))
    assert bool((found[1] == 7).all())
    assert torch.equal(found[2], x[3])
    none = reduce_lists(x[:0], offsets(torch.zeros(0, dtype=torch.int64)), mean, empty=x[0])
    assert none.shape == (0, 3)
    assert reduce_lists(x[:0], torch.zeros(3, dtype=torch.int64), mean, empty=x[0]).shape == (2, 3)
