import pytest
import torch
from tests.models.builders import build_encoder, predictor

from runner.models.link_model import LinkModel
from runner.models.node_embedding import (
    NodeEmbedding,
    gradient_values,
    node_embeddings,
    settle_sparse_gradients,
    with_values,
)
from runner.ops.csr import Graph

IDS = torch.tensor([3, 1, 3])


def test_rows_start_orthogonal_and_come_as_asked():
    embedding = NodeEmbedding(8, 5)
    torch.testing.assert_close(embedding.weight.T @ embedding.weight, torch.eye(5))
    assert torch.equal(embedding(IDS), embedding.weight[IDS])


@pytest.mark.parametrize("file", [False, True])
def test_it_stays_where_it_is_told_to(file):
    model = torch.nn.Sequential(NodeEmbedding(8, 5), torch.nn.Linear(5, 1))
    before, place = model[0].weight.clone(), torch.empty(8, 5)
    model[0].stay(place if file else None)
    model.to("meta")
    assert model[1].weight.is_meta and not model[0].weight.is_meta
    assert torch.equal(model[0].weight, before)
    assert (model[0].weight.data_ptr() == place.data_ptr()) == file
    assert node_embeddings(model) == [model[0]]


def test_sparse_gradients_are_the_rows_of_the_dense_one():
    sparse, dense = NodeEmbedding(8, 5, sparse=True), NodeEmbedding(8, 5)
    upstream = torch.randn(3, 5)
    for embedding in (sparse, dense):
        embedding(IDS).backward(upstream)
        settle_sparse_gradients(embedding)
    gradient = sparse.weight.grad
    assert gradient.is_sparse and gradient.indices().tolist() == [[1, 3]]
    torch.testing.assert_close(gradient.to_dense(), dense.weight.grad)
    torch.testing.assert_close(gradient_values(gradient), dense.weight.grad[[1, 3]])
    assert gradient_values(dense.weight.grad) is dense.weight.grad
    twice = with_values(gradient, 2 * gradient_values(gradient))
    torch.testing.assert_close(twice.to_dense(), 2 * dense.weight.grad)
    gradient_values(gradient).mul_(3)
    torch.testing.assert_close(gradient.to_dense(), 3 * dense.weight.grad)


def test_rows_come_to_where_the_model_is():
    """A device without memory stands for a GPU."""
    encoder = build_encoder(num_categories=8, hidden=5, layers=0)
    model = LinkModel(encoder, predictor("gae", hidden=5))
    node_embeddings(model)[0].stay()
    model.to("meta")
    h = model.encode(IDS, Graph.from_edges(torch.tensor([[0], [1]]), 8))
    assert h.is_meta and h.shape == (3, 5)


def test_features_in_main_memory_come_to_where_the_model_is():
    encoder = torch.nn.Linear(4, 5)
    encoder.forward = lambda features, graph: features
    model = LinkModel(encoder, torch.nn.Linear(5, 1)).to("meta")
    assert model.encode(torch.zeros(3, 4), Graph.from_edges(torch.tensor([[0], [1]]), 3)).is_meta
