"""Directed and bipartite graphs of one's own."""

import numpy as np
import pytest
import scipy.sparse
import torch

from runner.data.audit import audit
from runner.data.edges import edge_file
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=2.0, test_negatives=1.0)
RATED = {(u, v) for u in range(1, 13) for v in range(1, 21) if (u * v + u) % 4 == 0}


@pytest.fixture
def ratings(tmp_path):
    """Users 1 to 12 and items 1 to 20, by the same numbers."""
    file = tmp_path / "ratings.csv"
    file.write_text("user,item\n" + "\n".join(f"{u},{v}" for u, v in sorted(RATED)))
    return file


def read(file, **keys):
    return edge_file(path=str(file), **{"features": None, "split": SPLIT, **keys})


def links(data):
    return torch.cat([data.train, data.valid.positive, data.test.positive], dim=1)


def names_of(data, pairs):
    return {(int(data.names[u]), int(data.names[v])) for u, v in pairs.T.tolist()}


def test_ids_of_both_columns_are_apart(ratings):
    data = read(ratings, bipartite=True)
    users = {u for u, _ in RATED}
    assert data.num_sources == len(users) and data.num_nodes == len(users) + 20
    pairs = links(data)
    assert (pairs[0] < data.num_sources).all() and (pairs[1] >= data.num_sources).all()
    assert names_of(data, pairs) == RATED
    assert f"bipartite: {len(users)} sources and 20 targets" in data.notes
    assert data.facts["sources"] == len(users) and data.facts["targets"] == 20


def test_a_user_and_an_item_of_one_number_are_no_self_loop(ratings):
    data = read(ratings, bipartite=True)
    assert any(u == v for u, v in RATED)
    assert data.facts["self-loops dropped"] == 0 and data.facts["links"] == len(RATED)


def test_negatives_go_across(ratings):
    data = read(ratings, bipartite=True)
    for part in (data.valid, data.test):
        assert (part.negative[0] < data.num_sources).all()
        assert (part.negative[1] >= data.num_sources).all()
        assert not names_of(data, part.negative) & RATED


def test_kinds_that_overlap_are_refused_until_a_key_says_it(ratings):
    with pytest.raises(RunnerError, match=r"Say dataset.bipartite=false or dataset.bipartite=true"):
        read(ratings)
    same = read(ratings, bipartite=False)
    assert same.num_sources is None and same.num_nodes == 20
    apart = read(ratings, bipartite=True)
    assert same.graph_fingerprint != apart.graph_fingerprint


@pytest.mark.parametrize(
    "form",
    ["{u}\t{v}\t{star}\t{time}", "{u}::{v}::{star}::{time}", "U{u},I{v},{star}.0,{time}",
     "{u},{v},{half},{time}", "{u},{v},{star}", "{u} {v} {half}", "{u},{v},{high},{time}"],
)  # fmt: skip
def test_ratings_without_names_of_columns_are_refused_until_a_key_says_it(tmp_path, form):
    rows = [
        form.format(
            u=u,
            v=v,
            star=n % 5 + 1,
            half=(n % 10 + 1) / 2,
            high=n % 4 + 7,
            time=880_000_000 + 977 * n,
        )
        for n, (u, v) in enumerate(sorted(RATED, key=lambda pair: pair[0] * 7 % 13))
    ]
    file = tmp_path / "u.data"
    file.write_text("\n".join(rows))
    with pytest.raises(RunnerError, match=r"number 2 holds \d+ numbers .*Say dataset\.bipartite="):
        read(file)
    assert read(file, bipartite=True).num_sources == 12
    assert read(file, bipartite=False).num_sources is None


@pytest.mark.parametrize(
    ("form", "above"),
    [
        ("{u} {v} {few}", ""),
        ("{u} {v} 1 {time}", ""),
        ("{u} {v} {many} {time}", ""),
        ("{u} {v} {few} {time}", "% sym positive\n"),
        ("{u},{v},{few},{time}", "source,target,weight,time\n"),
    ],
)
def test_weights_are_no_ratings(tmp_path, form, above):
    rows = [
        form.format(u=u, v=v, few=n % 3 + 1, many=n % 17, time=880_000_000 + 977 * n)
        for n, (u, v) in enumerate(sorted(RATED, key=lambda pair: pair[0] * 7 % 13))
    ]
    (tmp_path / "out.graph").write_text(above + "\n".join(rows))
    assert read(tmp_path / "out.graph").facts["columns"].keys() >= {"weight"}


def test_names_are_kept_apart_too(tmp_path):
    rows = sorted(("abcdefghijkl"[u % 12], "abcdefghijklmnopqrst"[v % 20]) for u, v in RATED)
    (tmp_path / "graph.csv").write_text("User ID,item\n" + "\n".join(map(",".join, rows)))
    data = read(tmp_path / "graph.csv", bipartite=True)
    assert {(data.names[u], data.names[v]) for u, v in links(data).T.tolist()} == set(rows)


def test_a_matrix_of_sources_and_targets(tmp_path):
    matrix = np.zeros((12, 25))
    for u, v in RATED:
        matrix[u - 1, v - 1] = 1
    scipy.sparse.save_npz(tmp_path / "graph.npz", scipy.sparse.csr_array(matrix))
    data = read(tmp_path / "graph.npz", bipartite=True)
    assert data.num_sources == 12 and data.num_nodes == 37
    assert {(u + 1, v - 11) for u, v in links(data).T.tolist()} == RATED


def test_nodes_at_both_ends_of_what_has_no_columns(tmp_path):
    matrix = scipy.sparse.csr_array(np.ones((9, 9)) - np.eye(9))
    scipy.sparse.save_npz(tmp_path / "graph.npz", matrix)
    with pytest.raises(RunnerError, match=r"9 nodes of .* are first and second ends"):
        read(tmp_path / "graph.npz", bipartite=True)


@pytest.mark.parametrize(
    ("keys", "message"),
    [({"directed": True}, "dataset.directed=true"), ({"num_nodes": 99}, "dataset.num_nodes=99")],
)
def test_keys_that_contradict_two_kinds(ratings, keys, message):
    with pytest.raises(RunnerError, match=message):
        read(ratings, bipartite=True, **keys)


def test_features_of_a_name_that_both_kinds_have(ratings, tmp_path):
    (tmp_path / "nodes.csv").write_text("id,x\n" + "\n".join(f"{n},{n}" for n in range(1, 21)))
    with pytest.raises(RunnerError, match="is a source and a target: whose are its features"):
        read(ratings, bipartite=True, features=str(tmp_path / "nodes.csv"))
    with pytest.raises(RunnerError, match=r"dataset\.nodes=.*is a source and a target"):
        read(ratings, bipartite=True, nodes=str(tmp_path / "nodes.csv"))


def test_ordered_pairs(tmp_path):
    rows = [(u, v) for u in range(30) for v in range(30) if (3 * u + v) % 5 == 1 and u != v]
    text = "\n".join(f"{u},{v}" for u, v in [*rows, rows[0], (4, 4)])
    (tmp_path / "graph.csv").write_text("source,target\n" + text)
    data = read(tmp_path / "graph.csv", directed=True)
    assert data.directed and set(map(tuple, links(data).T.tolist())) == set(rows)
    assert data.facts["links"] == len(rows) and data.facts["directed"] is True
    assert data.facts["repeats dropped"] == data.facts["self-loops dropped"] == 1
    negatives = torch.cat([data.valid.negative, data.test.negative], dim=1).T.tolist()
    assert not set(map(tuple, negatives)) & set(rows)
    assert any((v, u) in rows for u, v in negatives)
    assert audit(data, cache=tmp_path).overlaps == {}
    undirected = read(tmp_path / "graph.csv")
    assert undirected.graph_fingerprint != data.graph_fingerprint


def test_konects_word_for_a_bipartite_graph(tmp_path):
    rows = "\n".join(f"{u} {v}" for u, v in sorted(RATED))
    (tmp_path / "out.ratings").write_text(f"% bip unweighted\n% {len(RATED)} 12 20\n{rows}\n")
    with pytest.raises(RunnerError, match=r"as % bip says.* values in common.*dataset\.bipartite"):
        read(tmp_path / "out.ratings")
    data = read(tmp_path / "out.ratings", bipartite=True)
    assert names_of(data, links(data)) == RATED
