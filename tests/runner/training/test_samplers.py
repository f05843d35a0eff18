import pytest
import torch

from runner.errors import RunnerError
from runner.ops.csr import Graph
from runner.training.generators import Generators
from runner.training.negatives import UniformNonEdges
from runner.training.samplers import FullGraph, TargetLinkRemoval, default_batch_size

NODES = 40


def dense(graph: Graph) -> torch.Tensor:
    matrix = torch.zeros(graph.num_nodes, graph.num_nodes, dtype=torch.int64)
    matrix[graph.row, graph.col] += 1
    return matrix


@pytest.fixture
def targets() -> torch.Tensor:
    """Random links with repeats, in both directions, and a hub."""
    generator = torch.Generator().manual_seed(0)
    links = torch.randint(NODES, (2, 120), generator=generator)
    hub = torch.stack([torch.zeros(15, dtype=torch.int64), torch.arange(1, 16)])
    links = torch.cat([links[:, links[0] != links[1]], hub], dim=1)
    return torch.cat([links, links[:, :20], links[:, 10:30].flip(0)], dim=1)


def sampler(kind, targets, batch_size=16, seed=0):
    return kind(
        batch_size=batch_size,
        graph=Graph.from_edges(targets, NODES),
        targets=targets,
        negatives=UniformNonEdges(),
        generators=Generators(batches=seed, negatives=seed, dropout=0),
    )


def test_batch_graph_lacks_exactly_the_batch_targets(targets):
    removal = sampler(TargetLinkRemoval, targets)
    full = dense(removal.graph)
    for batch in removal.epoch():
        expected = full.clone()
        u, v = batch.positives
        expected[u, v] = 0
        expected[v, u] = 0
        assert torch.equal(dense(batch.graph), expected)
        assert batch.graph.symmetric and torch.equal(expected, expected.T)
        assert batch.graph.num_entries < removal.graph.num_entries


def test_full_graph_keeps_them(targets):
    plain = sampler(FullGraph, targets)
    for batch in plain.epoch():
        assert torch.equal(dense(batch.graph), dense(plain.graph))


def test_epoch_covers_every_target_once_but_the_short_batch(targets):
    plain = sampler(FullGraph, targets, batch_size=16)
    batches = list(plain.epoch())
    assert len(batches) == len(plain) == targets.shape[1] // 16
    seen = torch.cat([batch.positives for batch in batches], dim=1)
    keys = (seen[0] * NODES + seen[1]).bincount(minlength=NODES**2)
    stored = (targets[0] * NODES + targets[1]).bincount(minlength=NODES**2)
    assert (keys <= stored).all()
    assert seen.shape[1] == len(plain) * 16


def test_negatives_are_no_links(targets):
    plain = sampler(FullGraph, targets)
    matrix = dense(plain.graph)
    for batch in plain.epoch():
        assert batch.negatives.shape == batch.positives.shape
        assert not matrix[batch.negatives[0], batch.negatives[1]].any()
        assert (batch.negatives[0] != batch.negatives[1]).all()


def test_skipping_gives_the_rest_of_the_same_epoch(targets):
    whole = list(sampler(TargetLinkRemoval, targets).epoch())
    rest = list(sampler(TargetLinkRemoval, targets).epoch(skip=3))
    assert len(rest) == len(whole) - 3
    for one, other in zip(rest, whole[3:], strict=True):
        assert torch.equal(one.positives, other.positives)
        assert torch.equal(one.negatives, other.negatives)
        assert torch.equal(one.graph.col, other.graph.col)


def test_epochs_differ(targets):
    one = sampler(FullGraph, targets)
    first, second = next(iter(one.epoch())), next(iter(one.epoch()))
    assert not torch.equal(first.positives, second.positives)
    assert not torch.equal(first.negatives, second.negatives)


def test_batch_larger_than_the_training_set_is_refused(targets):
    with pytest.raises(RunnerError, match=r"train\.batch_size=999.*only \d+ target links"):
        sampler(FullGraph, targets, batch_size=999)


@pytest.mark.parametrize(("count", "size"), [(1, 1), (10, 1), (178, 16), (8400, 1024)])
def test_default_batch_size_makes_8_to_16_steps(count, size):
    assert default_batch_size(count) == size


def test_default_batch_size_needs_links():
    with pytest.raises(RunnerError, match="no links"):
        default_batch_size(0)
