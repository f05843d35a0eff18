from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dense_reference import arrays, f_cn, f_pair, head
from tests.grids import every_pair
from tests.models.builders import predictor

from runner.models.ocn import OCN
from runner.models.predictor import View
from runner.ops.receptive_field import receptive_field


def incidence(a, pairs, *, walks):
    """C1 and C2, (B, N), of ordered pairs."""
    square = a @ a
    second = square if walks else (square > 0).astype(float)
    u, v = pairs
    return a[u] * a[v], a[u] * second[v]


def by_graph(a, pairs, *, orthogonal, walks):
    """M1 and M2 by the definition: c of a column over all linked pairs, each without its link."""
    d, s = a.sum(1), (a @ a).sum(1)
    d, s = np.where(d > 0, d, 1), np.where(s > 0, s, 1)
    c1, c2 = incidence(a, pairs, walks=walks)
    if not orthogonal:
        return c1 / d, c2 / s
    product, square = np.zeros(len(a)), np.zeros(len(a))
    for u, v in np.argwhere(a):
        without = a.copy()
        without[u, v] = without[v, u] = 0
        (one,), (two,) = incidence(without, (np.array([u]), np.array([v])), walks=walks)
        product += two * one / d
        square += (one / d) ** 2
    c = np.divide(product, square, out=np.zeros(len(a)), where=square > 0)
    return c1 / d, (c2 - c * c1 / d) / s


def by_batch(a, pairs, *, orthogonal, walks, single, xi):
    """M1 and M2 of the release, and the ⟨C2, M1⟩ of this call."""
    c1, c2 = incidence(a, pairs, walks=walks)
    k1 = c1.sum(0)
    m1 = c1 * np.where(k1 == 1, single, 1 / np.where(k1 > 0, k1, 1))
    if not orthogonal:
        return m1, c2, 0.0
    rest = c2 - xi / (np.abs(m1).max() or 1) * m1
    k2 = rest.sum(0)
    return m1, rest / np.where(np.abs(k2) < 1e-12, 1, k2), (c2 * m1).sum()


def logits(state, h, pairs, m1, m2):
    first, second = np.cumprod(1 / (1 + np.exp(-state["theta"])))
    found = []
    for u, v, p1, p2 in zip(*pairs, m1 @ h, m2 @ h, strict=True):
        joint = first * f_cn(state, p1) + second * f_cn(state, p2, "f_second")
        found.append(head(state, joint + state["beta"] * f_pair(state, h[u] * h[v])))
    return np.array(found)


def scored(module, case, pairs=None):
    with torch.no_grad():
        return module(case.h, case.graph, case.pairs if pairs is None else pairs).numpy()


ORDERS = ["indicator", "walks"]


@every_pair(orthogonal=[False, True], second_order=ORDERS)
def test_by_the_graph_against_dense_matrices(case, settle, form, orthogonal, second_order):
    module = settle(predictor("ocn", orthogonal=orthogonal, second_order=second_order))
    weights = by_graph(
        case.dense, case.pairs.numpy(), orthogonal=orthogonal, walks=second_order == "walks"
    )
    expected = logits(arrays(module), case.h.numpy(), case.pairs.numpy(), *weights)
    np.testing.assert_allclose(scored(module, case), expected, rtol=0, atol=1e-10)


@every_pair(orthogonal=[False, True], second_order=ORDERS, single=[None, 0.7])
def test_by_the_batch_against_dense_matrices(case, settle, form, orthogonal, second_order, single):
    """Two training calls, the mean of whose products an evaluation uses."""
    module = settle(
        predictor(
            "ocn", normaliser="batch", orthogonal=orthogonal, second_order=second_order,
            single_weight=single,
        )
    )  # fmt: skip
    inputs, xi = (arrays(module), case.h.numpy()), 0.0
    given = {"orthogonal": orthogonal, "walks": second_order == "walks", "single": single or 0.0}
    calls = [*case.pairs.split(30, dim=1)[:2], case.pairs]
    for number, pairs in enumerate(calls, 1):
        training = number < len(calls)
        if training:
            found = by_batch(case.dense, pairs.numpy(), **given, xi=xi)[-1]
            xi += (found - xi) / number
        m1, m2, _ = by_batch(case.dense, pairs.numpy(), **given, xi=xi)
        expected = logits(*inputs, pairs.numpy(), m1, m2)
        np.testing.assert_allclose(
            scored(module.train(training), case, pairs), expected, rtol=1e-8, atol=1e-8
        )
    if orthogonal:
        assert module.overlap.mean == pytest.approx(xi) and module.overlap.count == 2


def test_the_running_mean_is_in_the_state(case):
    module = predictor("ocn", normaliser="batch").double()
    module(case.h, case.graph, case.pairs)
    other = predictor("ocn", normaliser="batch").double()
    other.load_state_dict(module.state_dict())
    assert (other.overlap.mean, other.overlap.count) == (module.overlap.mean, 1)
    assert other.overlap.mean > 0


def test_a_batch_has_company_and_a_graph_has_not(case, settle):
    """The same pairs beside others."""
    pairs, few = case.pairs, case.pairs[:, :20]
    for normaliser in ("batch", "graph"):
        module = settle(predictor("ocn", normaliser=normaliser, orthogonal=False))
        same = np.allclose(scored(module, case, pairs)[:20], scored(module, case, few))
        assert same == (normaliser == "graph") == (not module.normalises_pairs)


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ({}, [9]),
        ({"normaliser": "batch"}, [5, 4]),
        ({"normaliser": "batch", "chunk_size": 2}, [2, 2, 1, 2, 2]),
        ({"normaliser": "batch", "company": "mixed"}, [9]),
    ],
)
def test_what_a_step_scores_together(given, sizes):
    positives, negatives = torch.arange(18).view(2, 9).split([5, 4], dim=1)
    calls = predictor("ocn", **given).calls(positives, negatives)
    assert [call.size(1) for call in calls] == sizes
    assert torch.equal(torch.cat(calls, dim=1), torch.cat([positives, negatives], dim=1))


def test_the_second_order_has_one_direction(case):
    """u's neighbours two steps from v, which are not v's two steps from u."""
    _, second = predictor("ocnp").weighed(case.graph, case.pairs)
    ((_, lists, weight),) = second
    c2 = incidence(case.dense, case.pairs.numpy(), walks=True)[1]
    found = np.zeros_like(c2)
    found[lists.target, lists.node] = 1
    np.testing.assert_array_equal(found, c2 > 0)
    assert weight.numel() == found.sum()


def test_hidden_links_count_nowhere_whatever_is_encoded(case, settle):
    """A local part of the graph, whose rim lacks links, gives the weights of the whole."""
    hidden = torch.cat([case.graph.find(p) for p in (case.pairs[:, :9], case.pairs[:, :9].flip(0))])
    hidden = hidden[hidden >= 0]
    kept = torch.ones(case.graph.num_entries, dtype=torch.bool).index_fill_(0, hidden, False)
    visible = case.graph.keep(kept, symmetric=True)
    module = settle(predictor("ocn"))
    expected = scored(module, case)
    assert not np.allclose(expected, module(case.h, visible, case.pairs).detach().numpy())
    pairs = case.pairs[:, ::7]
    expected = module(case.h, visible, pairs)
    field = receptive_field(case.graph, pairs[:, :1], reach=2, layers=0, kept=kept)
    local = View(field.graph, case.graph, hidden, field.nodes)
    found = module(case.h[field.nodes], local, field.local(pairs[:, :1]))
    torch.testing.assert_close(found, expected[:1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"single_weight": 2.0}, "single_weight=2.0, .* give normaliser=batch"),
        ({"company": "mixed"}, "company=mixed and .* give normaliser=batch"),
        ({"chunk_size": 5}, "chunk_size=5 are of the pairs .* give normaliser=batch"),
        (
            {"normaliser": "batch", "company": "mixed", "chunk_size": 5},
            "chunk_size=5 .* company=mixed has no sides; give chunk_size=null",
        ),
        ({"normaliser": "column"}, "normaliser must be graph or batch, got 'column'"),
        ({"normaliser": "batch", "company": "alone"}, "company must be apart or mixed"),
        ({"second_order": "both"}, "second_order must be indicator or walks"),
    ],
)
def test_what_is_wrong_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        OCN(**wrong)
