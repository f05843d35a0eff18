"""Scores that depend on their batch are found, whatever the way; rounding is not taken for it."""

from __future__ import annotations

import json

import pytest
import torch

from runner.audits.company import audit_company
from runner.audits.limit import Limit
from runner.data.link_data import EvaluationSplit

SPLIT = EvaluationSplit(
    torch.stack([torch.arange(300), torch.arange(300) + 1]),
    torch.stack([torch.arange(400), torch.arange(400) + 7]),
)


def own(pairs):
    """Of the pair alone; the second node is that of a positive where it is the next one."""
    return torch.sin(pairs[0].double() * 12.9898 + pairs[1].double() * 78.233)


def positives(pairs):
    return pairs[1] == pairs[0] + 1


def normalised(pairs):
    scores = own(pairs)
    return scores - scores.mean()


def by_share_of_positives(pairs):
    """Of positives alone, and the same for one alone as in a batch of its kind."""
    return own(pairs) + 0.01 * positives(pairs) * positives(pairs).double().mean()


def by_count(pairs):
    return own(pairs) + 1e-3 * positives(pairs) * pairs.size(1)


def by_place(pairs):
    return own(pairs) + 0.01 * torch.arange(pairs.size(1)) / pairs.size(1)


class Remembers:
    """Gives the first score of a pair again: another company has to come to a fresh scorer."""

    def __init__(self):
        self.known = {}

    def __call__(self, pairs):
        found = normalised(pairs)
        keys = map(tuple, pairs.T.tolist())
        return torch.stack([self.known.setdefault(k, s) for k, s in zip(keys, found, strict=True)])


def audited(scorer, *, batch_size=256, exact=True, limit=None, split=SPLIT):
    return audit_company(
        scorer, split, batch_size=batch_size, exact=exact, limit=limit or Limit(1000.0)
    )


@pytest.mark.parametrize("score", [normalised, by_share_of_positives, by_count, by_place])
def test_a_score_that_depends_on_its_batch_is_found(score):
    found = audited(lambda: score)
    assert found["passed"] is False
    assert found["difference"] > found["tolerance"] > 0
    assert found["pairs"] == 128 and found["seed"] == 0


def test_what_only_a_mixed_batch_shows_is_said_so():
    assert audited(lambda: by_share_of_positives)["worst"] in ("mixed", "shuffled")


def test_a_scorer_that_remembers_hides_nothing():
    assert audited(Remembers)["passed"] is False


def test_a_score_of_the_pair_alone_passes_and_moves_no_generator():
    before = torch.get_rng_state()
    found = audited(lambda: own)
    assert found["passed"] and found["difference"] == 0 and "cut" not in found
    assert torch.equal(before, torch.get_rng_state())


def test_rounding_passes_and_bfloat16_may_round_more():
    def rounded(by):
        return lambda pairs: own(pairs) + by * (pairs.size(1) % 3)

    assert audited(lambda: rounded(1e-6))["passed"]
    assert not audited(lambda: rounded(1e-3))["passed"]
    assert audited(lambda: rounded(1e-3), exact=False)["passed"]


@pytest.mark.parametrize("value", [0.0, 3.0, float("-inf")])
def test_scores_that_are_all_alike_pass(value):
    assert audited(lambda: lambda pairs: torch.full((pairs.size(1),), value))["passed"]


def test_most_scores_alike_leave_no_room_for_a_leak():
    """As of common neighbours, nearly all of which are 0: the interquartile range is 0."""

    def few(pairs):
        return (pairs[0] % 50 == 0).double() + 1e-3 * (pairs.size(1) == 1)

    assert not audited(lambda: few)["passed"]


def test_a_score_that_is_no_number_in_some_company_fails():
    def undefined(pairs):
        scores = own(pairs)
        return scores if pairs.size(1) > 1 else scores * float("nan")

    found = audited(lambda: undefined)
    assert found["passed"] is False and found["difference"] is None
    json.dumps(found, allow_nan=False)


def test_out_of_time_the_rest_is_left_out_and_recorded():
    asked = []

    def slow(pairs):
        asked.append(pairs.size(1))
        return own(pairs)

    found = audited(lambda: slow, limit=Limit(1000.0, lambda: len(asked) > 3))
    assert found["passed"] and found["cut"] and len(asked) < 6


def test_a_batch_that_is_too_long_is_cut(monkeypatch):
    import time

    clock = iter(range(10**6))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))  # a second a look
    pairs = torch.arange(2 * 9000).view(2, 9000)
    sizes = []

    def noted(batch):
        sizes.append(batch.size(1))
        return own(batch)

    split = EvaluationSplit(pairs, pairs.flip(0))
    found = audited(lambda: noted, batch_size=9000, split=split, limit=Limit(400.0))
    assert found["cut"] and max(sizes) < 9000
