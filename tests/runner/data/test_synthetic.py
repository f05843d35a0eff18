import networkx
import numpy as np
import pytest
import torch

from runner.data.splits import RandomSplit
from runner.data.synthetic import affiliation_edges, coauthorship
from runner.errors import RunnerError

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=2.0, test_negatives=1.0)


def generate(seed=0, **changes):
    sizes = {"num_nodes": 600, "num_edges": 2000, "num_topics": 10, "num_features": 8}
    return coauthorship(**{**sizes, "noise": 2.0, "split": SPLIT, **changes}, seed=seed)


def test_the_seed_decides_and_the_sizes_hold():
    one, same, other = generate(), generate(), generate(seed=1)
    assert one.fingerprint == same.fingerprint != other.fingerprint
    links = one.train.shape[1] + one.valid.positive.shape[1] + one.test.positive.shape[1]
    assert (one.num_nodes, links, one.features.shape) == (600, 2000, (600, 8))
    assert one.features.dtype == torch.float32 and one.num_categories is None


def test_papers_are_cliques_inside_topics_with_skewed_productivity():
    topic = np.arange(600) % 10
    u, v = affiliation_edges(topic, 2000, np.random.default_rng(0))
    assert (topic[u] == topic[v]).all() and (u != v).all()
    graph = networkx.Graph(zip(u.tolist(), v.tolist(), strict=True))
    assert graph.number_of_edges() == 2000
    random = networkx.gnm_random_graph(graph.number_of_nodes(), 2000, seed=0)
    assert networkx.transitivity(graph) > 10 * networkx.transitivity(random)
    degrees = sorted((degree for _, degree in graph.degree), reverse=True)
    assert degrees[0] > 4 * np.mean(degrees)


def test_features_tell_of_the_topic_less_with_more_noise():
    def explained(noise):
        data = generate(noise=noise)
        links = data.train
        near = torch.cosine_similarity(data.features[links[0]], data.features[links[1]]).mean()
        return float(near)

    assert explained(0.0) == pytest.approx(1.0, abs=1e-4)
    assert 0 < explained(2.0) < explained(0.5) < 1


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(RunnerError, match="num_topics=500"):
        generate(num_topics=500)
    with pytest.raises(RunnerError, match="num_edges=999999"):
        generate(num_edges=999_999)
