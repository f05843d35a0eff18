"""The outputs of BUDDY's release, of every form, reproduced from its own weights."""

from __future__ import annotations

import json

import pytest
import torch
from tests.release_weights import load_release
from tests.releases.reference import (
    arguments_of,
    arrays_of,
    assert_close,
    fixed_input,
    read_reference,
    weights_of,
)

from runner.models.buddy import BUDDY
from runner.models.distance_features import distance_features
from runner.models.encoder import NoEncoder
from runner.models.linear_gcn import LinearGCN
from runner.models.link_model import LinkModel
from runner.models.predictor import View
from runner.models.sign import SIGN
from runner.ops.csr import Graph
from runner.ops.distance_counts import distance_counts
from runner.ops.sketches import estimated_counts, sketch_balls


@pytest.fixture(scope="module")
def release():
    return read_reference("buddy")


def forms(release, kind):
    found = [name.removesuffix("/arguments") for name in release if name.endswith("/arguments")]
    return [form for form in found if form.startswith(f"{kind}.")]


def built(arguments, x, num_nodes):
    """The model of a form, and its input."""
    sizes = {"num_features": x.size(1), "hidden": 16}
    given = {"arithmetic": "release", "counts": arguments["counts"], "hops": arguments["hops"]}
    given |= {"hidden": 16, "zero_one": arguments["zero_one"]}
    if arguments["predictor"] == "ELPH":
        encoder = LinearGCN(
            **sizes, layers=arguments["hops"], residual=arguments["feature_prop"] == "residual"
        )
        return LinkModel(encoder, BUDDY(**given)), x
    features, embedding = arguments["features"], arguments["embedding"]
    sign, propagated = arguments["sign"], arguments["propagate_embedding"]
    given |= {"normed": arguments["normed"], "resource_allocation": arguments["RA"]}
    predictor = BUDDY(embeddings=int(features) + int(embedding), **given)
    if features:
        beside = ("propagated" if propagated else "plain") if embedding else "none"
        mixed = {"steps": sign, "mixed": True, "powers": False} if sign else {}
        encoder = SIGN(**sizes, num_nodes=num_nodes, embedding=beside, **mixed)
        return LinkModel(encoder, predictor), x
    if embedding:
        steps = sign if propagated else 0
        encoder = SIGN(num_categories=num_nodes, hidden=16, steps=steps, mixed=steps > 0)
        return LinkModel(encoder, predictor), torch.arange(num_nodes)
    return LinkModel(NoEncoder(), predictor), x


def without_links(graph, count):
    """The graph after every link of the first nodes is removed."""
    if not count:
        return graph
    return graph.keep((graph.row >= count) & (graph.col >= count), symmetric=True)


@pytest.mark.parametrize("with_structure", [False, True])
def test_every_form(release, with_structure):
    whole, x, _, pairs = fixed_input()
    names = forms(release, "buddy") + forms(release, "elph")
    assert len(names) >= 12
    for form in names:
        arguments, arrays = arguments_of(release, form), arrays_of(release, form)
        model, features = built(arguments, x, whole.num_nodes)
        model.eval()
        load_release(model, weights_of(release, form))
        graph = without_links(whole, arguments.get("isolated", 0))
        structure = model.predictor.structure(graph) if with_structure else None
        view = View.of(graph, structure)
        with torch.no_grad():
            h = model.encode(features, graph)
            logit = model.score(h, view, pairs)
            if "nodes" in arrays:
                assert_close(h, arrays["nodes"])
            if "structure" in arrays:
                found = model.predictor.features(view, pairs)
                assert_close(found.float(), arrays["structure"], by_column=True)
            if "RA" in arrays:
                assert_close(model.predictor.heuristic(h, view, pairs), arrays["RA"])
        assert_close(logit, arrays["logit"])


def test_every_set_of_features(release):
    graph, _, _, pairs = fixed_input()
    names = [name for name in release if name.startswith("features/")]
    assert len(names) >= 13
    for name in names:
        kind = name.removeprefix("features/")
        hops = int(kind.removeprefix("sketch").removeprefix("exact")[0])
        if kind.startswith("exact"):
            counts = distance_counts(graph, pairs, hops)
        else:
            counts = estimated_counts(sketch_balls(graph, hops), pairs)
        found = distance_features(
            counts, arithmetic="release", zero_one="zeroed" not in kind, floor="floored" in kind
        )
        assert_close(found.float(), release[name], by_column=True)


def test_unused_entries_are_few(release):
    """All others are needed: a form without one of them is refused."""
    _, x, _, _ = fixed_input()
    for form in ("buddy.k2_sign2", "buddy.k2_features_and_embedding", "elph.k2_residual"):
        weights = weights_of(release, form)
        arguments = json.loads(str(release[f"{form}/arguments"]))
        idle = {"buddy.k2_sign2": {"lin_feat", "bn_RA"}, "elph.k2_residual": {"predictor.lin_feat"}}
        for name in weights:
            module = name.rpartition(".")[0]
            if name.endswith("num_batches_tracked") or module in idle.get(form, {"bn_RA"}):
                continue
            rest = {key: value for key, value in weights.items() if key != name}
            with pytest.raises(KeyError, match="lack"):
                load_release(built(arguments, x, 332)[0], rest)


def test_a_graph_without_links_of_a_form():
    graph = Graph.from_edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 5)
    assert without_links(graph, 2).num_entries == 2
