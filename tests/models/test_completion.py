from __future__ import annotations

import io
import math

import pytest
import torch
from tests.dense_reference import probability
from tests.models.builders import build_completion as build

from runner.models.completion import LearnedPrior
from runner.ops.overlap import NeighbourLists

LISTS = NeighbourLists(torch.tensor([0, 2, 2, 5]), torch.tensor([3, 4, 0, 1, 2]))
OTHER = torch.tensor([7, 8, 9])
PAIRS = [[7, 7, 9, 9, 9], [3, 4, 0, 1, 2]]


def weigh(stage, scorer, other=OTHER, lists=LISTS):
    product = torch.ones(other.numel(), 4, dtype=torch.float64)
    return stage(scorer, [(other, lists)], stage.log_prior(product))[0]


class Scorer:
    """Logit u + w / 10; remembers the pairs of every call."""

    def __init__(self):
        self.calls = []

    def __call__(self, pairs):
        self.calls.append(pairs.tolist())
        assert not torch.is_grad_enabled()
        return (pairs[0] + pairs[1] / 10).double()


def test_probability_by_hand():
    # p0 = 1/2 at the offset: P = alpha t / (t + 1).
    stage = build(t=0.25, s=2.0, o=3.0, alpha=0.5)
    assert stage.probability(torch.tensor(3.0), math.log(0.25)).item() == pytest.approx(0.1)
    # p0 = 4/5 where s (logit - o) = log 4: P = alpha 0.25 * 4 / (0.25 * 4 + 1).
    logit = 3 + torch.log(torch.tensor(4.0)) / 2
    assert stage.probability(logit, math.log(0.25)).item() == pytest.approx(0.25)


@pytest.mark.parametrize("constants", [(0.3, 1.7, 0.1, 1.05), (0.1, 10.0, 3.0, 0.5), (2, 1, -1, 1)])
def test_probability_is_the_formula(constants):
    named = dict(zip(("t", "s", "o", "alpha"), constants, strict=True))
    logits = torch.linspace(-6, 6, 41, dtype=torch.float64)
    expected = [probability(logit, **named) for logit in logits.tolist()]
    found = build(**named).probability(logits, math.log(named["t"]))
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_probability_of_extreme_logits():
    found = build(alpha=1.05).probability(torch.tensor([-1e30, 1e30]), -1.0)
    torch.testing.assert_close(found, torch.tensor([0.0, 1.05]))


def test_probability_lets_a_gradient_through():
    """Only the inner logit is cut off, in forward: a learned t could follow."""
    logit = torch.zeros(3, requires_grad=True)
    build().probability(logit, -1.0).sum().backward()
    assert bool((logit.grad > 0).all())


@pytest.mark.parametrize(("chunk_size", "calls"), [(None, 1), (5, 1), (2, 3), (1, 5)])
def test_weights_of_every_neighbour(chunk_size, calls):
    scorer, stage = Scorer(), build(chunk_size=chunk_size)
    kept, weight = weigh(stage, scorer)
    assert torch.equal(kept.node, LISTS.node)
    assert torch.equal(kept.rowptr, LISTS.rowptr)
    scored = torch.cat([torch.tensor(call) for call in scorer.calls], dim=1)
    assert scored.tolist() == PAIRS
    assert len(scorer.calls) == calls
    expected = stage.probability(scored[0].double() + scored[1].double() / 10, math.log(0.3))
    torch.testing.assert_close(weight, expected)
    assert not weight.requires_grad


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_nothing_to_complete(chunk_size):
    scorer = Scorer()
    empty = NeighbourLists(torch.zeros(4, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    kept, weight = weigh(build(chunk_size=chunk_size, keep_eval=1).eval(), scorer, lists=empty)
    assert scorer.calls == []
    assert weight.shape == kept.node.shape == (0,)


def test_sampled_neighbours_weigh_n_over_k():
    """A flat P of alpha t / (t + 1) = 1 leaves the sampling factor alone."""
    stage = build(t=1.0, s=0.0, alpha=2.0, keep_train=2, replacement=True)
    kept, weight = weigh(stage, Scorer())
    assert kept.rowptr.tolist()[1:3] == [2, 2]
    assert weight[:2].tolist() == [1.0, 1.0]
    assert weight[2:].sum().item() == pytest.approx(3.0)
    assert set((weight[2:] * 2 / 3).round().tolist()) <= {1.0, 2.0}


@pytest.mark.parametrize(("training", "scored"), [(True, 1), (False, 2)])
def test_kept_in_training_and_evaluation(training, scored):
    stage = build(keep_train=1, keep_eval=3).train(training)
    lists = NeighbourLists(torch.tensor([0, 2]), torch.tensor([3, 4]))
    kept, _ = weigh(stage, Scorer(), OTHER[:1], lists)
    assert kept.node.numel() == scored


def test_generator_is_its_own_and_travels_in_the_state():
    stage = build(keep_train=1, seed=5)
    default = torch.get_rng_state()

    def draw(stage):
        lists = NeighbourLists(torch.tensor([0, 50]), torch.arange(50))
        return [weigh(stage, Scorer(), OTHER[:1], lists)[0].node.item() for _ in range(8)]

    draw(stage)
    assert torch.equal(default, torch.get_rng_state())
    buffer = io.BytesIO()
    torch.save(stage.state_dict(), buffer)
    expected = draw(stage)
    buffer.seek(0)
    other = build(keep_train=1, seed=6)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert draw(other) == expected
    assert draw(build(keep_train=1, seed=6)) != draw(build(keep_train=1, seed=7))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": 0.0}, "t must be above 0"),
        ({"chunk_size": 0}, "chunk_size must be at least 1"),
        ({"memory_gib": 0.0}, "memory_gib must be above 0"),
        ({"keep_train": 0}, "keep_train must be at least 1"),
        ({"keep_eval": -1}, "keep_eval must be at least 1"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        build(**change)


def test_kept_without_replacement_every_neighbour_weighs_the_same():
    stage = build(t=1.0, s=0.0, alpha=2.0, keep_train=2)
    kept, weight = weigh(stage, Scorer())
    assert kept.rowptr.tolist() == [0, 2, 2, 4]
    torch.testing.assert_close(weight, torch.tensor([1.0, 1.0, 1.5, 1.5], dtype=torch.float64))


def test_a_learned_prior_is_one_of_every_pair_and_gets_a_gradient():
    prior = LearnedPrior(hidden=4).double()
    stage = build(t=prior, s=0.0, alpha=1.0)
    product = torch.randn(3, 4, generator=torch.manual_seed(0), dtype=torch.float64)
    t = torch.sigmoid(prior.mlp(product)).squeeze(1)
    torch.testing.assert_close(stage.log_prior(product).exp(), t)
    ((_, weight),) = stage(Scorer(), [(OTHER, LISTS)], stage.log_prior(product))
    # p0 = 1/2: P = t / (t + 1).
    torch.testing.assert_close(weight, (t / (t + 1))[LISTS.target])
    weight.sum().backward()
    assert all(bool(parameter.grad.any()) for parameter in prior.parameters())


def test_each_distinct_pair_once():
    """Of both sides together, in either orientation; the weights are those of every neighbour."""

    class Symmetric(Scorer):
        def __call__(self, pairs):
            super().__call__(pairs)
            return pairs.sum(0) / 10 + pairs.prod(0).double()

    mirrored = NeighbourLists(torch.tensor([0, 1, 1, 3]), torch.tensor([7, 7, 9]))
    sides = [(OTHER, LISTS), (torch.tensor([3, 0, 2]), mirrored)]
    stage = build(chunk_size=2)
    every, once = Symmetric(), Symmetric()
    expected = stage(every, sides, torch.zeros(3).double())
    found = stage(once, sides, torch.zeros(3).double(), each_once=10)
    for (_, a), (_, b) in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    scored = [frozenset(pair) for call in once.calls for pair in zip(*call, strict=True)]
    assert len(scored) == len(set(scored)) == 6
    assert {frozenset(p) for call in every.calls for p in zip(*call, strict=True)} == set(scored)
    assert sum(len(call[0]) for call in every.calls) == 8


def test_chunks_follow_the_memory():
    stage = build(chunk_size=4)
    scorer = Scorer()
    stage.memory_gib = 3 * 100 / 2**30
    sides = [(OTHER, LISTS)]
    stage(scorer, sides, torch.zeros(3).double(), bytes_a_pair=100)
    assert [len(call[0]) for call in scorer.calls] == [3, 2]
    stage.memory_gib = 1.0
    stage(scorer, sides, torch.zeros(3).double(), bytes_a_pair=100)
    assert [len(call[0]) for call in scorer.calls[2:]] == [4, 1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    ],
)
def test_out_of_memory_halves_the_chunks_and_goes_on(error, caplog):
    class Small(Scorer):
        def __call__(self, pairs):
            if pairs.size(1) > 1:
                raise error
            return super().__call__(pairs)

    scorer, stage = Small(), build(chunk_size=4)
    _, weight = weigh(stage, scorer)
    torch.testing.assert_close(weight, weigh(build(), Scorer())[1])
    assert [len(call[0]) for call in scorer.calls] == [1] * 5
    assert [record.args for record in caplog.records] == [(4, 2), (2, 1)]
    weigh(stage, scorer)
    assert len(caplog.records) == 2  # it stays so


def test_other_errors_and_a_memory_for_no_pair_are_raised():
    def scorer(pairs):
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        weigh(build(), scorer)

    def never(pairs):
        raise MemoryError("not one")

    with pytest.raises(MemoryError, match="not one"):
        weigh(build(chunk_size=4), never)


def test_a_resume_goes_on_with_the_halved_chunks():
    class Small(Scorer):
        def __call__(self, pairs):
            torch.rand(1)
            if pairs.size(1) > 2:
                raise MemoryError
            return super().__call__(pairs)

    stage = build(chunk_size=4, keep_train=2)
    stage.generator.manual_seed(1)
    torch.manual_seed(2)
    weigh(stage, Small())
    after = torch.rand(1)
    torch.manual_seed(2)
    torch.rand(2)
    assert torch.equal(after, torch.rand(1))  # what the failed attempt drew does not count
    resumed = build(chunk_size=4, keep_train=2)
    resumed.load_state_dict(stage.state_dict())
    scorer = Scorer()
    weigh(resumed, scorer)
    assert max(len(call[0]) for call in scorer.calls) == 2
    older = {**stage.state_dict(), "_extra_state": stage.generator.get_state()}
    resumed.load_state_dict(older)  # of a checkpoint from before
    assert torch.equal(resumed.generator.get_state(), stage.generator.get_state())
