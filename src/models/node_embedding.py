"""Learned embeddings of nodes, which may be too many for a device."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NodeEmbedding(nn.Embedding):
    """One learned row for each node, from an orthogonal start.

    Args:
        sparse: the gradient holds the rows that were looked up alone.

    Attributes:
        stays: in main memory, while its rows come to where the model has moved.
    """

    def __init__(self, num_nodes: int, hidden: int, *, sparse: bool = False) -> None:
        super().__init__(num_nodes, hidden, sparse=sparse)
        nn.init.orthogonal_(self.weight)
        self.stays = False
        self._device = self.weight.device

    def stay(self, weight: Tensor | None = None) -> None:
        """Stay in main memory when the model moves to a device.

        Args:
            weight: (num_nodes, hidden), the memory to live in from now on, as that of a file.
        """
        self.stays = True
        if weight is not None:
            weight.copy_(self.weight.data)
            self.weight.data = weight

    def forward(self, ids: Tensor) -> Tensor:
        """Rows, (n, hidden), of ``ids``, (n,) int64 anywhere, on the model's device."""
        return super().forward(ids.to(self.weight.device)).to(self._device)

    def _apply(self, fn, recurse=True):  # type: ignore[no-untyped-def]
        self._device = fn(self.weight.new_empty(0)).device
        return self if self.stays else super()._apply(fn, recurse)


def node_embeddings(model: nn.Module) -> list[NodeEmbedding]:
    """Those of a model."""
    return [module for module in model.modules() if isinstance(module, NodeEmbedding)]


def gradient_values(gradient: Tensor) -> Tensor:
    """The numbers of a gradient, of a sparse one those of its rows: the same memory."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def settle_sparse_gradients(model: nn.Module) -> None:
    """Bring rows that were looked up twice together, so that a norm counts their sum."""
    for embedding in node_embeddings(model):
        gradient = embedding.weight.grad
        if gradient is not None and gradient.is_sparse:
            embedding.weight.grad = gradient.coalesce()


def with_values(gradient: Tensor, values: Tensor) -> Tensor:
    """A settled gradient with other numbers, of the shape of its :func:`gradient_values`."""
    if not gradient.is_sparse:
        return values
    return torch.sparse_coo_tensor(
        gradient.indices(), values, gradient.shape, is_coalesced=True, check_invariants=False
    )
