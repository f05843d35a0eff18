import pytest
import torch

from runner.data.link_data import EvaluationSplit, link_data

NODES, LINKS = 9, torch.tensor([[0, 1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 6, 8]])


def put_together(links=LINKS, cut=(4, 6), nodes=NODES, directed=False, features=None):
    train, valid, test = links.tensor_split(cut, dim=1)
    negative = torch.tensor([[0], [5]])
    return link_data(
        num_nodes=nodes,
        features=features,
        train=train,
        valid=EvaluationSplit(valid, negative),
        test=EvaluationSplit(test, negative),
        directed=directed,
    )


@pytest.mark.parametrize("directed", [False, True])
def test_the_fingerprint_of_the_graph_knows_no_split(directed):
    graph = put_together(directed=directed).graph_fingerprint
    shuffled = LINKS[:, torch.randperm(7, generator=torch.Generator().manual_seed(0))]
    other = put_together(shuffled, cut=(2, 5), directed=directed)
    assert other.graph_fingerprint == graph
    assert other.fingerprint != put_together(directed=directed).fingerprint
    turned = put_together(LINKS.flip(0), directed=directed)
    assert (turned.graph_fingerprint == graph) is not directed


def test_every_change_of_the_graph_changes_its_fingerprint():
    changed = [LINKS[:, 1:], torch.cat([LINKS, LINKS[:, :1]], dim=1), LINKS + (LINKS == 8) * -1]
    found = {put_together(links).graph_fingerprint for links in [LINKS, *changed]}
    found |= {
        put_together(nodes=10).graph_fingerprint,
        put_together(directed=True).graph_fingerprint,
    }
    assert len(found) == 6


def test_features_have_a_fingerprint_of_their_own():
    some, others = (put_together(features=torch.full((NODES, 2), x)) for x in (1.0, 2.0))
    assert some.graph_fingerprint == others.graph_fingerprint == put_together().graph_fingerprint
    assert len({x.features_fingerprint for x in (some, others, put_together())}) == 3


def test_the_test_knows_the_links_of_validation_and_each_part_its_support():
    def links(*numbers):
        return torch.tensor([numbers, numbers]) + torch.tensor([[0], [10]])

    parts = {
        name: EvaluationSplit(links(number), links(number))
        for name, number in (("valid", 3), ("test", 4))
    }
    data = link_data(
        num_nodes=20, features=None, train=links(1, 2), num_sources=10,
        valid_support=links(5), test_support=links(6), **parts,
    )  # fmt: skip
    known = {name: split.candidates.known[0].tolist() for name, split in data.judged.items()}
    assert {name: sorted(nodes) for name, nodes in known.items()} == {
        "valid": [1, 2, 5],
        "test": [1, 2, 3, 5, 6],
    }
    assert data.judged["test"].candidates.num_sources == 10
