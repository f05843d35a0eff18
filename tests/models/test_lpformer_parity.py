"""LPFormer with the weights of its releases gives their outputs, from their PageRank."""

from __future__ import annotations

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

from runner.models.lpformer import LPFormer
from runner.models.normed_gcn import NormedGCN
from runner.models.predictor import View
from runner.ops.csr import offsets
from runner.ops.node_values import NodeValues
from runner.ops.sparse_rows import SparseRows


@pytest.fixture(scope="module")
def release():
    return read_reference("lpformer")


def forms(release):
    return sorted({k.split("/")[0] for k in release if k.endswith("/arguments")})


def build(arguments):
    paper = arguments["source"] == "paper"
    encoder = NormedGCN(
        num_features=24,
        hidden=16,
        layers=arguments["gnn_layers"],
        norm=("rows" if arguments["layer_norm"] else "none") if paper else "graph",
        relu=arguments.get("relu", True),
        activate_last=paper,
        residual=arguments.get("residual", False),
    )
    common, one_hop, beyond = arguments["thresholds"]
    predictor = LPFormer(
        hidden=16,
        heads=arguments["heads"],
        score_layers=arguments.get("score_layers", 2),
        common_threshold=common,
        one_hop_threshold=one_hop,
        beyond_threshold=beyond,
    )
    return encoder.eval(), predictor.eval()


def pagerank(release, name, graph, predictor):
    of = arrays_of(release, name)
    row, col = torch.from_numpy(of["index"]).long()
    nodes = torch.arange(graph.num_nodes)
    rowptr = offsets(torch.bincount(row, minlength=graph.num_nodes))
    rows = SparseRows(rowptr, col, torch.from_numpy(of["value"]), graph.num_nodes)
    beyond = rows.keep(rows.value >= predictor.thresholds[-1])
    return [NodeValues.of_rows(nodes, part).tensors() for part in (rows, beyond)]


def test_every_form(release):
    graph, x, _, pairs = fixed_input()
    for form in forms(release):
        print(form)
        arguments, expected = arguments_of(release, form), arrays_of(release, form)
        encoder, predictor = build(arguments)
        for module in (encoder, predictor):
            load_release(module, weights_of(release, form))
        with torch.no_grad():
            h = encoder(x, graph)
            view = View.of(graph, pagerank(release, arguments["ppr"], graph, predictor))
            around = predictor.around(h, view, pairs)
            logit = predictor(h, view, pairs)
        assert_close(h, expected["nodes"])
        assert_close(around, expected["pairwise"], by_column=True)
        assert_close(logit, expected["logit"])
