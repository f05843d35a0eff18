from __future__ import annotations

from collections import Counter

import pytest
import torch

from runner.data.all_links import all_for_training, fingerprint_with_all_links
from runner.data.link_data import EvaluationSplit, link_data


def put_together(directed: bool = False):
    negative = torch.tensor([[0], [5]])
    return link_data(
        num_nodes=9,
        features=None,
        train=torch.tensor([[0, 1, 2, 0], [1, 2, 3, 1]]),  # (0, 1) counts twice
        valid=EvaluationSplit(torch.tensor([[3, 4], [4, 5]]), negative),
        test=EvaluationSplit(torch.tensor([[5], [6]]), negative),
        # (4, 3) is scored in validation, as (3, 4); (7, 6) is support of both.
        valid_support=torch.tensor([[7, 8], [6, 0]]),
        test_support=torch.tensor([[4, 7], [3, 6]]),
        new_nodes=torch.tensor([6, 7, 8]),
        directed=directed,
        names=list("abcdefghi"),
    )


@pytest.mark.parametrize("directed", [False, True])
def test_every_link_is_for_training_once(directed):
    before, after = put_together(directed), all_for_training(put_together(directed))

    def count(links):
        pairs = map(tuple, (links if directed else links.sort(dim=0).values).T.tolist())
        return Counter(pairs)

    wanted = count(before.train) + count(before.valid.positive) + count(before.test.positive)
    for support in (before.valid_support, before.test_support):
        wanted |= count(support)
    assert count(after.train) == wanted
    assert after.train.shape[1] == (10 if directed else 9)
    assert after.valid.positive.shape == after.test.negative.shape == (2, 0)
    assert (after.valid_support, after.test_support) == (None, None)
    assert len(after.new_nodes) == 0 and list(after.links) == ["train", "valid", "test"]


def test_it_is_the_same_graph_and_another_split():
    before, after = put_together(), all_for_training(put_together())
    for name in ("graph_fingerprint", "features_fingerprint", "names_fingerprint"):
        assert getattr(after, name) == getattr(before, name)
    assert after.fingerprint == fingerprint_with_all_links(before.fingerprint) != before.fingerprint
    assert "all 9 links are for training" in after.notes[-1]
