"""A bilinear form of both embeddings."""

from __future__ import annotations

from torch import Tensor, nn

from runner.keys import InConfig, Width
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import gather
from runner.ops.backend import exact
from runner.ops.csr import check_ids


class Bilinear(Predictor):
    """logit(u, v) = (W h_u) · h_v, as HL-GNN's release has it: the order of a pair counts.

    Args:
        hidden: width H of the embeddings.
    """

    reach = 0

    def __init__(self, *, hidden: InConfig[Width] = 64) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, hidden, bias=False)

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H); the graph is not read."""
        check_ids(pairs, h.size(0), "pairs")
        mapped = exact(self.linear(h))
        return (gather(mapped, pairs[0]) * gather(h, pairs[1])).sum(dim=1)
