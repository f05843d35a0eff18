"""Ranking of nodes against a slow loop, scikit-learn, torchmetrics, and all orders of ties."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from sklearn.metrics import ndcg_score
from torchmetrics.functional.retrieval import retrieval_precision, retrieval_recall

from runner.data.candidates import Candidates
from runner.data.link_data import EvaluationSplit
from runner.training import node_ranking
from runner.training.metrics import NotANumber
from runner.training.named_metrics import parse_metric
from runner.training.node_ranking import queries, rank_links

NAMES = ("precision@1", "precision@3", "recall@3", "recall@20", "ndcg@3", "ndcg@20", "node_mrr")


def split(links, known=(), num_nodes=12, **options):
    pairs = torch.tensor(links, dtype=torch.int64).view(-1, 2).t()
    before = torch.tensor(known, dtype=torch.int64).view(-1, 2).t()
    candidates = Candidates(num_nodes, before, options.pop("directed", False), **options)
    return EvaluationSplit(pairs, pairs, candidates)


def matrix(num_nodes=12, seed=0, ties=True):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(num_nodes, num_nodes, generator=generator)
    return (drawn * 2).round() if ties else drawn


def rank(scores, given, nodes=None):
    asked = queries(given, "all")[0] if nodes is None else torch.tensor(nodes)
    return rank_links(lambda pairs: scores[pairs[0], pairs[1]], given, asked)


def by_hand(name, ranking, sought):
    """A metric of one order of all candidates, by its definition."""
    kind, _, k = name.partition("@")
    if kind == "node_mrr":
        return 1 / (1 + min(ranking.index(node) for node in sought))
    k = int(k)
    hits = [node in sought for node in ranking[:k]]
    ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(sought))))
    return {
        "precision": sum(hits) / k,
        "recall": sum(hits) / len(sought),
        "ndcg": sum(hit / math.log2(place + 2) for place, hit in enumerate(hits)) / ideal,
    }[kind]


@pytest.mark.parametrize("name", ["precision@1", "precision@3", "precision@5"])
def test_the_golden_ranking(name):
    """[4, 1, 5, 0, 3, 2] with links to 1 and 3: the release's figures."""
    scores = torch.zeros(7, 7)
    scores[6, [4, 1, 5, 0, 3, 2]] = torch.arange(6, 0, -1).float()
    places = rank(scores, split([(6, 1), (6, 3)], num_nodes=7, directed=True), [6])
    k = name[-1]
    found = [
        float(parse_metric(metric).of_nodes(places))
        for metric in (name, f"recall@{k}", f"ndcg@{k}", "node_mrr")
    ]
    golden = {"1": (0, 0, 0, 0.5), "3": (1 / 3, 0.5, 0.3869, 0.5), "5": (0.4, 1, 0.6241, 0.5)}
    assert found == pytest.approx(golden[k], abs=5e-5)


@pytest.mark.parametrize("seed", range(3))
def test_ndcg_agrees_with_scikit_learn_ties_included(seed):
    scores = matrix(seed=seed)
    links = [(0, 3), (0, 5), (0, 7), (2, 5), (9, 1), (9, 0)]
    given = split(links, directed=True)
    for k in (1, 3, 20):
        found = parse_metric(f"ndcg@{k}").of_nodes(rank(scores, given))
        for node, value in zip((0, 2, 9), found.tolist(), strict=True):
            others = [other for other in range(12) if other != node]
            truth = [[float((node, other) in links) for other in others]]
            assert value == pytest.approx(ndcg_score(truth, [scores[node, others].tolist()], k=k))


@pytest.mark.parametrize("seed", range(2))
def test_precision_and_recall_agree_with_torchmetrics(seed):
    scores = matrix(seed=seed, ties=False).sigmoid()  # to torchmetrics, 0 and less is no hit
    links = [(0, 3), (0, 5), (0, 7), (2, 5), (9, 1), (9, 0)]
    places = rank(scores, split(links, directed=True))
    for k, (name, of) in itertools.product(
        (1, 3, 8), (("precision", retrieval_precision), ("recall", retrieval_recall))
    ):
        found = parse_metric(f"{name}@{k}").of_nodes(places)
        for node, value in zip((0, 2, 9), found.tolist(), strict=True):
            others = [other for other in range(12) if other != node]
            truth = torch.tensor([(node, other) in links for other in others])
            assert value == pytest.approx(float(of(scores[node, others], truth, top_k=k)))


@pytest.mark.parametrize("name", NAMES[:-1])
def test_ties_give_the_mean_over_all_orders(name):
    scores = torch.tensor([[9.0, 1, 1, 0, 1, 1, 0]] * 7)
    sought = {1, 4, 6}
    given = split([(0, other) for other in sought], num_nodes=7, directed=True)
    orders = [
        [*high, *low]
        for high in itertools.permutations([1, 2, 4, 5])
        for low in itertools.permutations([3, 6])
    ]
    expected = sum(by_hand(name, order, sought) for order in orders) / len(orders)
    assert float(parse_metric(name).of_nodes(rank(scores, given))) == pytest.approx(expected)


def test_node_mrr_has_the_expected_place_of_the_first_link():
    scores = torch.tensor([[9.0, 1, 1, 0, 1, 1, 0]] * 7)
    given = split([(0, 1), (0, 4), (0, 6)], num_nodes=7, directed=True)
    orders = [*itertools.permutations([1, 2, 4, 5])]
    place = sum(1 + min(order.index(1), order.index(4)) for order in orders) / len(orders)
    found = parse_metric("node_mrr").of_nodes(rank(scores, given))
    assert float(found) == pytest.approx(1 / place)


@pytest.mark.parametrize("kind", ["undirected", "directed", "bipartite"])
@pytest.mark.parametrize("name", NAMES)
def test_every_node_is_ranked_among_its_candidates(name, kind):
    options = {"undirected": {}, "directed": {"directed": True}, "bipartite": {"num_sources": 5}}
    scores = matrix(seed=4, ties=False)
    links = [(0, 7), (0, 9), (3, 7), (4, 11), (2, 7)]
    known = [(0, 8), (3, 9), (4, 7), (1, 7), (0, 7)]  # (0, 7) is sought all the same
    both = links if kind == "directed" else [*links, *((v, u) for u, v in links)]
    out = known if kind == "directed" else [*known, *((v, u) for u, v in known)]
    nodes = sorted({u for u, _ in both})
    expected = []
    for node in nodes:
        sought = {v for u, v in both if u == node}
        flipped = kind == "bipartite" and node >= 5
        others = [
            other
            for other in range(12)
            if other != node
            and ((node, other) not in out or other in sought)
            and (kind != "bipartite" or (other < 5) == flipped)
        ]
        row = scores[:, node] if flipped else scores[node]
        ranking = sorted(others, key=lambda other, row=row: -float(row[other]))
        expected.append(by_hand(name, ranking, sought))
    given = split(links, known, **options[kind])
    assert parse_metric(name).of_nodes(rank(scores, given)).tolist() == pytest.approx(expected)


def test_links_of_minus_infinity_tie_with_no_candidate_that_is_left_out():
    scores = torch.full((4, 4), -torch.inf)
    places = rank(scores, split([(0, 1)], [(0, 2)], num_nodes=4, directed=True))
    assert (places.above.tolist(), places.tied.tolist()) == ([0], [2])  # 1 itself and 3


def test_blocks_change_nothing(monkeypatch):
    scores, given = matrix(), split([(0, 7), (0, 9), (3, 7), (4, 11), (2, 7)], [(0, 8)])
    whole = rank(scores, given)
    monkeypatch.setattr(node_ranking, "_BLOCK", 24)  # two nodes
    parts = rank(scores, given)
    assert parts.above.tolist() == whole.above.tolist()
    assert parts.tied.tolist() == whole.tied.tolist()


def test_a_sample_is_the_same_each_time_and_ranks_as_the_whole():
    scores, given = matrix(), split([(0, 7), (0, 9), (3, 7), (4, 11), (2, 7)])
    nodes, of = queries(given, 3)
    assert (nodes.numel(), of) == (3, 7)
    assert nodes.tolist() == queries(given, 3)[0].tolist() == sorted(nodes.tolist())
    whole, some = rank(scores, given), rank(scores, given, nodes.tolist())
    values = dict(zip(whole.nodes.tolist(), parse_metric("ndcg@3").of_nodes(whole), strict=True))
    assert parse_metric("ndcg@3").of_nodes(some).tolist() == [values[n] for n in nodes.tolist()]


def test_auto_ranks_as_many_nodes_as_fit_the_number_of_scores(monkeypatch):
    given = split([(0, 7), (0, 9), (3, 7), (4, 11), (2, 7)])
    assert queries(given, "auto")[0].numel() == 7
    monkeypatch.setattr(node_ranking, "_MOST_SCORES", 50)
    assert queries(given, "auto")[0].numel() == 4
    assert queries(given, "all")[0].numel() == 7


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(NotANumber, match="NaN"):
        rank(torch.full((12, 12), torch.nan), split([(0, 7)]))


def test_a_split_without_candidates_is_refused():
    pairs = torch.tensor([[0], [1]])
    with pytest.raises(ValueError, match="takes a split with candidates"):
        queries(EvaluationSplit(pairs, pairs), "all")
