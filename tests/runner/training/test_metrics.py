import warnings

import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from runner.config import metric_names
from runner.errors import RunnerError
from runner.training.metrics import auc, average_precision, hits_at_k, mrr
from runner.training.named_metrics import parse_metric


def tied(count, seed):
    """Scores with many ties."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(12, (count,), generator=generator).float() / 4


@pytest.fixture(scope="module")
def ogb_evaluator():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ogb.linkproppred import Evaluator
    return Evaluator


@pytest.mark.parametrize("k", [1, 20, 50])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scores", [tied, lambda n, s: torch.randn(n) + s])
def test_hits_agree_with_ogb_to_the_last_digit(ogb_evaluator, k, seed, scores):
    positive, negative = scores(113, seed), scores(61, seed + 10)
    judge = ogb_evaluator("ogbl-ddi")
    judge.K = k
    expected = judge.eval({"y_pred_pos": positive, "y_pred_neg": negative})[f"hits@{k}"]
    assert hits_at_k(positive, negative, k) == expected


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scores", [tied, lambda n, s: torch.randn(n) + s])
def test_mrr_agrees_with_ogb_to_the_last_digit(ogb_evaluator, seed, scores):
    positive, negative = scores(40, seed), scores(40 * 30, seed + 10).view(40, 30)
    judge = ogb_evaluator("ogbl-citation2")
    found = judge.eval({"y_pred_pos": positive, "y_pred_neg": negative})["mrr_list"]
    assert mrr(positive, negative) == found.mean().item()


@pytest.mark.parametrize("own", [False, True], ids=["shared", "own"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scores", [tied, lambda n, s: torch.randn(n) + s])
def test_auc_and_average_precision_agree_with_scikit_learn(scores, seed, own):
    positive, negative = scores(50, seed), scores(50 * 8, seed + 10)
    labels = torch.cat([torch.ones(50), torch.zeros(400)])
    both = torch.cat([positive, negative])
    negative = negative.view(50, 8) if own else negative
    assert auc(positive, negative) == pytest.approx(roc_auc_score(labels, both), abs=1e-12)
    expected = average_precision_score(labels, both)
    assert average_precision(positive, negative) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", [auc, average_precision])
def test_infinite_scores_are_ordered_too(metric):
    """scikit-learn refuses them; a heuristic may give them."""
    infinite = torch.tensor([float("inf"), 1.0]), torch.tensor([1.0, -float("inf")])
    finite = torch.tensor([9.0, 1.0]), torch.tensor([1.0, -9.0])
    assert metric(*infinite) == metric(*finite)


def test_shared_negatives_are_the_same_list_for_every_positive():
    positive, negative = tied(50, 0), tied(30, 1)
    assert mrr(positive, negative) == mrr(positive, negative.expand(50, 30))


def test_by_hand():
    positive, negative = torch.tensor([3.0, 2.0, 0.0]), torch.tensor([2.0, 1.0])
    assert hits_at_k(positive, negative, 1) == pytest.approx(1 / 3)  # the tie at 2 is lost
    assert hits_at_k(positive, negative, 2) == pytest.approx(2 / 3)
    assert mrr(positive, negative) == pytest.approx((1 + 1 / 1.5 + 1 / 3) / 3)


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("seed", range(4))
def test_hits_of_own_negatives_count_ties_half(k, seed):
    positive, negative = tied(40, seed), tied(40 * 30, seed + 10).view(40, 30)
    ranks = [
        0.5 * (sum(n >= p for n in row) + sum(n > p for n in row)) + 1
        for p, row in zip(positive.tolist(), negative.tolist(), strict=True)
    ]
    assert hits_at_k(positive, negative, k) == sum(rank <= k for rank in ranks) / 40


def test_a_tie_is_lost_among_shared_negatives_and_half_lost_among_own():
    positive, negative = torch.tensor([1.0]), torch.tensor([1.0, 0.0])
    assert hits_at_k(positive, negative, 1) == 0
    assert hits_at_k(positive, negative[None], 1) == 0  # rank 1.5
    assert hits_at_k(positive, torch.tensor([1.0, 1.0, 0.0]), 2) == 0
    assert hits_at_k(positive, torch.tensor([[1.0, 1.0, 0.0]]), 2) == 1  # rank 2


def test_fewer_negatives_than_k_is_no_perfect_score():
    with pytest.raises(ValueError, match="hits@5 needs at least 5 negatives, got 2"):
        hits_at_k(torch.ones(3), torch.zeros(2), 5)
    with pytest.raises(ValueError, match="hits@5 needs at least 5 negatives, got 4"):
        hits_at_k(torch.ones(3), torch.zeros(3, 4), 5)


@pytest.mark.parametrize("metric", [lambda p, n: hits_at_k(p, n, 1), mrr, auc, average_precision])
def test_scores_that_are_not_numbers_are_refused(metric):
    bad = torch.tensor([1.0, float("nan")])
    with pytest.raises(ValueError, match="NaN"):
        metric(bad, torch.zeros(2))
    with pytest.raises(ValueError, match="NaN"):
        metric(torch.ones(2), bad)
    with pytest.raises(ValueError, match="at least one"):
        metric(torch.ones(0), torch.zeros(2))


def test_every_positive_needs_its_negatives():
    with pytest.raises(ValueError, match="5 positives, but negatives for 1"):
        mrr(torch.ones(5), torch.zeros(1, 4))


def test_names():
    assert (parse_metric("hits@50").name, parse_metric("hits@50").negatives) == ("hits@50", 50)
    assert (parse_metric("mrr").name, parse_metric("mrr").negatives) == ("mrr", 1)
    for name in ("hits@0", "hits", "hits@-1", "auc@5", "Hits@50"):
        with pytest.raises(RunnerError, match=r"use mrr, auc, .* or hits@K"):
            parse_metric(name)


def test_every_short_name_has_its_metric():
    names = [*metric_names.PLAIN, *(f"{name}@7" for name in metric_names.AT_K)]
    assert [parse_metric(name).name for name in names] == names
