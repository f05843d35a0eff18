"""The learned monoid as NCN's pool and as a convolution, against plain loops in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import ISOLATED, NUM_NODES, arrays, lcm, ncn2, ncn_diff, neighbours, relu
from tests.models.builders import HIDDEN, build_encoder, predictor

from runner.errors import RunnerError
from runner.models import lcm as module_of_lcm
from runner.models.completed import Completed
from runner.models.lcm import LCM, LCMConvolution, lcm_convolution
from runner.models.ncn import NCN
from runner.ops.csr import Graph, offsets
from runner.ops.receptive_field import receptive_field


def with_pool(name, **options):
    return predictor(name, pool=LCM(hidden=HIDDEN, **options))


@pytest.mark.parametrize("identity", ["zero", "learned"])
@pytest.mark.parametrize(("name", "dense"), [("ncn_diff", ncn_diff), ("ncn2", ncn2)])
def test_relatives_against_plain_loops(name, dense, identity, case, settle):
    """NCN2's second sum has a node twice where both of its lists have it."""
    module = settle(with_pool(name, identity=identity))
    found = module(case.h, case.graph, case.pairs).detach().numpy()
    expected = dense(arrays(module), case.h.numpy(), case.dense, case.pairs.numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_ncn_is_its_relative_without_the_second_pool(case, settle):
    module, other = settle(with_pool("ncn")), settle(with_pool("ncn_diff"))
    module.load_state_dict(other.state_dict(), strict=False)
    torch.nn.init.zeros_(other.f_second[3].weight)
    for part in (other.f_second[3], other.f_second[4]):
        torch.nn.init.zeros_(part.bias)
    torch.testing.assert_close(
        module(case.h, case.graph, case.pairs), other(case.h, case.graph, case.pairs)
    )


def test_many_pairs_are_scored_as_few(case, settle):
    """The fast way of NCN is one of sums."""
    module = settle(with_pool("ncn"))
    with torch.no_grad():
        score = module.fast_scorer(case.h, case.graph)
        assert torch.equal(score(case.pairs), module(case.h, case.graph, case.pairs))


def convolved(module, x, a):
    state = arrays(module)
    own = x @ state["own.weight"].T
    rows = relu(x @ state["neighbours.map.weight"].T + state["neighbours.map.bias"])
    zero = np.zeros(rows.shape[1])
    reduced = [
        lcm(state, "neighbours", [rows[w] for w in neighbours(a, u)],
            state.get("neighbours.identity", zero))
        for u in range(len(a))
    ]  # fmt: skip
    return np.stack(reduced) @ state["linear.weight"].T + state["linear.bias"] + own


@pytest.mark.parametrize("identity", ["zero", "learned"])
def test_convolution_against_plain_loops(identity, case, settle, monkeypatch):
    module = settle(LCMConvolution(HIDDEN, 4, identity=identity))
    expected = convolved(module, case.h.numpy(), case.dense)
    np.testing.assert_allclose(module(case.h, case.graph).detach(), expected, rtol=0, atol=1e-10)
    assert np.abs(expected[ISOLATED]).max() > 0.1
    monkeypatch.setattr(module_of_lcm, "_ENTRIES", 7)  # a few nodes at a time
    np.testing.assert_allclose(module(case.h, case.graph).detach(), expected, rtol=0, atol=1e-10)
    assert torch.autograd.gradcheck(
        lambda h: module(h, case.graph), case.h.requires_grad_(), fast_mode=True
    )


def test_a_receptive_field_is_enough(case, settle):
    """Nodes have other numbers there, and are combined in the same order."""
    module = settle(build_encoder(num_features=HIDDEN, layers=2, convolution=lcm_convolution()))
    field = receptive_field(case.graph, case.pairs[:, :2], reach=1, layers=2)
    found = module(case.h[field.nodes], field.layers)
    expected = module(case.h, case.graph)[field.nodes[: field.graph.num_nodes]]
    torch.testing.assert_close(found, expected)


def some_lists(lengths):
    rowptr = offsets(torch.tensor(lengths))
    x = torch.randn(int(rowptr[-1]), HIDDEN, generator=torch.manual_seed(1)).double()
    return x, rowptr, torch.arange(len(x))


def test_commutative_to_the_bit_and_single_rows_as_they_are(settle):
    module = settle(LCM(hidden=HIDDEN))
    x, rowptr, node = some_lists([7, 1, 2])
    found = module(x, rowptr, node)
    swapped = node[torch.tensor([1, 0, 3, 2, 5, 4, 6, 7, 9, 8])]
    assert torch.equal(module(x, rowptr, swapped), found)
    assert torch.equal(found[1], x[7])
    other = node[torch.tensor([2, 1, 0, 3, 4, 5, 6, 7, 8, 9])]
    assert not torch.allclose(module(x, rowptr, other)[0], found[0])  # no associativity


def test_a_random_order_is_one_of_training_alone(settle):
    x, rowptr, node = some_lists([5, 0, 1, 9])
    module, plain = settle(LCM(hidden=HIDDEN, order="random")), settle(LCM(hidden=HIDDEN))
    expected = plain(x, rowptr, node)
    assert torch.equal(module(x, rowptr, node), expected)
    module.train()

    def drawn(seed):
        torch.manual_seed(seed)
        return module(x, rowptr, node)

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.allclose(drawn(0)[3], drawn(1)[3])
    assert torch.equal(drawn(0)[1:3], expected[1:3])  # no row left its list
    torch.manual_seed(0)
    shuffled = module_of_lcm._shuffled(rowptr, node)
    assert torch.equal(shuffled[:5].sort().values, node[:5])
    assert torch.equal(drawn(0), plain(x, rowptr, shuffled))


def test_the_associativity_term(settle):
    x, rowptr, node = some_lists([3, 2, 5, 0])
    module = settle(LCM(hidden=HIDDEN, associativity=0.5))
    module(x, rowptr, node)
    assert module.loss_terms() == {}  # in evaluation
    module.train()(x, rowptr, node)
    (term,) = module.loss_terms().values()
    assert module.loss_terms() == {}  # kept no longer
    state = arrays(torch.nn.ModuleDict({"m": module}))

    def both(a, b):
        return lcm(state, "m", [a, b], None)

    apart = [
        both(both(a, b), c) - both(a, both(b, c)) for a, b, c in x.numpy()[[[0, 1, 2], [5, 6, 7]]]
    ]
    assert term.item() == pytest.approx(0.5 * np.mean([(d**2).sum() for d in apart]))
    module(x, offsets(torch.tensor([2, 2])), node[:4])
    assert module.loss_terms()["associativity"] == 0


def test_loss_terms_reach_the_model(case):
    options = {"associativity": 1.0}
    model = with_pool("ncn", **options).double()
    encoder = build_encoder(
        num_features=HIDDEN, layers=2, convolution=lcm_convolution(**options)
    ).double()
    model(encoder(case.h, case.graph), case.graph, case.pairs)
    assert list(model.loss_terms()) == ["associativity"]
    assert list(encoder.loss_terms()) == ["associativity of layer 1", "associativity of layer 2"]


def test_what_is_refused(case):
    with pytest.raises(ValueError, match="differ; give project=true"):
        LCM(hidden=3, in_features=4)
    with pytest.raises(ValueError, match="order must be sorted or random"):
        LCM(hidden=3, order="shuffled")
    with pytest.raises(ValueError, match=r"edge_dropout=0\.5 scales the messages"):
        build_encoder(convolution=lcm_convolution(), edge_dropout=0.5)
    with pytest.raises(RunnerError, match="combines messages and cannot weigh them"):
        LCMConvolution(HIDDEN, 4)(case.h.float(), case.graph, torch.ones(case.graph.num_entries))
    with pytest.raises(ValueError, match="counts by its probability"):
        with_pool("ncnc")
    with pytest.raises(ValueError, match="counts by its probability"):
        Completed(relative=NCN(hidden=HIDDEN, pool=LCM(hidden=HIDDEN)))


def test_a_hub_elsewhere_changes_no_score(settle):
    """It would where lists are padded to the longest, as PyTorch Geometric pads them."""
    module = settle(LCMConvolution(HIDDEN, HIDDEN))
    edges = torch.tensor([[0, 0, 0, 4], [1, 2, 3, 5]])
    hub = torch.stack([torch.full((20,), 6), torch.arange(7, 27)])
    x = torch.randn(NUM_NODES, HIDDEN, generator=torch.manual_seed(0)).double()
    few = module(x, Graph.from_edges(edges, NUM_NODES))
    many = module(x, Graph.from_edges(torch.cat([edges, hub], dim=1), NUM_NODES))
    torch.testing.assert_close(many[:6], few[:6], rtol=0, atol=1e-12)
