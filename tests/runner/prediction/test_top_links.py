"""The best links of whole graphs, against scores of all pairs in NumPy and a sort of all."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests import dense_reference as dense

import runner as public
from runner.errors import RunnerError
from runner.prediction import top_links
from runner.prediction.candidates import find_candidates

QUICK = ("tracker=none", "train.epochs=3")
SMALL = "encoder.hidden=16"


@pytest.fixture
def lesmis(made_once):
    def load(model):
        width = () if model == "cn" else (SMALL,)
        return public.load(made_once(f"model={model}", "dataset=lesmis", *QUICK, *width))

    return load


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(top_links, "_BLOCK", 500)


def known(run):
    return {tuple(pair) for part in run._trained.data.links.values() for pair in part.T.tolist()}


def all_new(run, among=None):
    """Unordered pairs of an undirected graph."""
    links = known(run)
    nodes = range(len(run.nodes)) if among is None else among
    pairs = itertools.combinations(nodes, 2)
    return [(u, v) for u, v in pairs if (u, v) not in links and (v, u) not in links]


def dense_scores(run, pairs):
    """Nothing of them is computed by the code under test but the embeddings."""
    trained, array = run._trained, np.array(pairs).T
    graph = run._graph
    a = dense.adjacency(torch.stack([graph.row, graph.col.long()]).numpy(), graph.num_nodes)
    h, predictor = run.embeddings().astype(float), trained.model.predictor
    name = trained.config.run.model
    if name == "cn":
        return (a @ a)[array[0], array[1]]
    if name == "ncn":
        return dense.ncn(dense.arrays(predictor), h, a, array)
    constants = {key: getattr(predictor.completion, key) for key in ("t", "s", "o", "alpha")}
    state = {name.removeprefix("ncn."): x for name, x in dense.arrays(predictor).items()}
    return dense.ncnc(state, h, a, array, constants)


def expect(run, frame, pairs, scores, k):
    """The k best of these pairs, by the names of the nodes; equal scores by their numbers."""
    rows = sorted((-score, *pair) for score, pair in zip(scores, pairs, strict=True))[:k]
    assert frame["score"].to_numpy() == pytest.approx([-row[0] for row in rows], abs=1e-5)
    by_pair = dict(zip(pairs, scores, strict=True))
    number = {name: place for place, name in enumerate(run.nodes)}
    found = [(number[u], number[v]) for u, v in zip(frame.source, frame.target, strict=True)]
    assert len(set(found)) == len(found)
    assert [by_pair[pair] for pair in found] == pytest.approx([-row[0] for row in rows], abs=1e-5)
    return found == [row[1:] for row in rows]


@pytest.mark.parametrize("k", [25, 10**6])
@pytest.mark.parametrize("model", ["ncn", "cn"])
def test_the_best_of_all_pairs(lesmis, model, k):
    run = lesmis(model)
    pairs = all_new(run)
    frame = run.top_links(k)
    same_order = expect(run, frame, pairs, dense_scores(run, pairs), k)
    assert same_order or model != "cn"  # whole numbers tie exactly
    assert frame.attrs == {"candidates": "all pairs", "recall": 1.0, "scored": len(pairs)}
    assert len(frame) == min(k, len(pairs))


def test_within_some_nodes(lesmis):
    run, among = lesmis("ncnc"), [0, 11, 23, 25, 26, 27, 48, 55, 58, 64]
    pairs = all_new(run, among)
    frame = run.top_links(12, within=[run.nodes[n] for n in reversed(among)])
    expect(run, frame, pairs, dense_scores(run, pairs), 12)
    with pytest.raises(RunnerError, match="Javer: no node has this name; near are Jav"):
        run.top_links(within=["Valjean", "Javer"])
    with pytest.raises(RunnerError, match="within: no two of these nodes make a pair"):
        run.top_links(within=["Valjean", "Valjean"])


def test_above_a_probability_and_with_known_links(lesmis):
    run = lesmis("cn")
    run = public.load(run.folder, prior=0.5)
    frame = run.top_links(10**6, threshold=0.5, include_known=True)
    graph = run._graph
    pairs = list(itertools.combinations(range(77), 2))
    scores = dense_scores(run, pairs)
    chances = run.calibration.probability(np.asarray(scores, dtype=float), 0.5)
    rows = zip(pairs, scores, chances, strict=True)
    good = [(pair, score) for pair, score, chance in rows if chance >= 0.5]
    assert 0 < len(good) < len(pairs)
    assert (frame["probability"] >= 0.5).all()
    assert expect(run, frame, *zip(*good, strict=True), 10**6)
    links = known(run)
    number = {name: place for place, name in enumerate(run.nodes)}
    ends = [(number[u], number[v]) for u, v in zip(frame.source, frame.target, strict=True)]
    assert frame["known"].tolist() == [(u, v) in links or (v, u) in links for u, v in ends]
    assert frame["known"].any() and graph.num_entries


@pytest.mark.parametrize("kind", ["directed", "bipartite"])
def test_ordered_pairs_and_two_kinds_of_nodes(made_once, tmp_path_factory, kind):
    place = tmp_path_factory.getbasetemp() / f"{kind}.csv"
    rows = {(i, (i * i + 3 * j) % 20) for i in range(20) for j in range(4)}
    place.write_text("source,target\n" + "\n".join(f"n{u},n{v}" for u, v in rows if u != v))
    own = ("dataset=edges", f"dataset.path={place}", f"dataset.{kind}=true", SMALL, *QUICK)
    run = public.load(made_once("model=gae", *own))
    links, data = known(run), run._trained.data
    if kind == "directed":
        pairs = list(itertools.permutations(range(data.num_nodes), 2))
    else:
        sources = range(data.num_sources)
        pairs = list(itertools.product(sources, range(data.num_sources, data.num_nodes)))
    pairs = [pair for pair in pairs if pair not in links]
    names = [(run.nodes[u], run.nodes[v]) for u, v in pairs]
    scores = run.score(names)
    frame = run.top_links(40)
    rows = sorted((-s, pair) for s, pair in zip(scores, pairs, strict=True))[:40]
    assert frame["score"].to_numpy() == pytest.approx([-row[0] for row in rows], abs=1e-6)
    found = set(zip(frame.source, frame.target, strict=True))
    assert len(found) == 40 and found <= set(names)
    # A name of both kinds stands for both.
    some = run.top_links(10**6, within=["n1", "n3"])
    among = {("n1", "n3"), ("n3", "n1")} | ({("n1", "n1"), ("n3", "n3")} - {kind == "directed"})
    expected = {pair for pair in names if pair in among}
    assert set(zip(some.source, some.target, strict=True)) == expected
    # Candidates of them are such pairs too.
    few = run.top_links(10**6, most_pairs=60)
    assert set(zip(few.source, few.target, strict=True)) <= set(names)
    assert few.attrs["scored"] == len(few) < len(names) and few.attrs["recall"] is not None


@pytest.mark.parametrize("graph", ["test", "all"])
@pytest.mark.parametrize("include_known", [False, True])
def test_candidates_where_there_are_too_many_pairs(lesmis, caplog, graph, include_known):
    run = public.load(lesmis("ncn").folder, graph=graph)
    pairs, most = run._pairs_among(None), 300
    scorer = run._scorer
    proposed = find_candidates(scorer.graph, scorer.embeddings, pairs, most=most)
    links = known(run)
    have = {tuple(pair) for pair in proposed.T.tolist()}
    have |= {tuple(sorted(link)) for link in links}
    new = sorted(p for p in have if include_known or not (p in links or p[::-1] in links))
    names = [(run.nodes[u], run.nodes[v]) for u, v in new]
    caplog.set_level(logging.WARNING)
    frame = run.top_links(50, most_pairs=most, include_known=include_known)
    expect(run, frame, new, run.score(names).tolist(), 50)
    assert frame.attrs["scored"] == len(new) < 2000
    # By a graph that has no validation link.
    seen = run._trained.graphs[1]
    h = public.load(run.folder)._scorer.embeddings
    blind = find_candidates(seen, h, pairs, most=most).T.tolist()
    valid = run._trained.data.valid.positive.T.tolist()
    hits = sum(sorted(link) in blind for link in valid)
    assert 0 < hits < len(valid)
    assert frame.attrs["recall"] == hits / len(valid)
    assert f"they have {hits / len(valid):.1%} of the validation links" in caplog.text


def test_no_validation_links_to_measure_the_candidates_on(lesmis, caplog):
    run = lesmis("ncn")
    none = run._trained.data.valid.positive[:, :0]
    data = replace(run._trained.data, valid=replace(run._trained.data.valid, positive=none))
    run._trained = replace(run._trained, data=data)
    frame = run.top_links(5, most_pairs=100)
    assert frame.attrs["recall"] is None
    assert "no validation links to say what these miss" in caplog.text


@pytest.mark.parametrize(
    ("given", "message"),
    [({"k": 0}, "k=0: it takes"), ({"most_pairs": 0.5}, "most_pairs=0.5: it takes")],
)
def test_mistakes_are_told(lesmis, given, message):
    with pytest.raises(RunnerError, match=message):
        lesmis("cn").top_links(**given)
