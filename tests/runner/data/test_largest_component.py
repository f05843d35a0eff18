import torch

from runner.data.largest_component import largest_component


def test_the_largest_one_is_numbered_anew():
    edges = torch.tensor([[5, 6, 1, 3, 4, 3], [6, 5, 0, 7, 7, 4]])
    links, nodes = largest_component(edges, 9)
    assert nodes.tolist() == [3, 4, 7]
    assert links.tolist() == [[0, 1, 0], [2, 2, 1]]
    assert torch.equal(nodes[links], edges[:, 3:])


def test_of_two_of_a_size_the_first():
    edges = torch.tensor([[4, 2], [5, 1]])
    links, nodes = largest_component(edges, 6)
    assert nodes.tolist() == [1, 2] and links.tolist() == [[1], [0]]
