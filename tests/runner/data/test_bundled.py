import torch

from runner.data.bundled import les_miserables
from runner.data.splits import RandomSplit


def test_les_miserables():
    split = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=2.0, test_negatives=1.0)
    data = les_miserables(split=split)
    assert data.num_nodes == data.num_categories == 77
    assert torch.equal(data.features, torch.arange(77))
    links = data.train.shape[1] + data.valid.positive.shape[1] + data.test.positive.shape[1]
    assert links == 254
