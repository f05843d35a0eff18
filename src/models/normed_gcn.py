"""LPFormer's GNN: graph convolutions, each with a norm and a ReLU, and a LayerNorm at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from runner.keys import InConfig, PositiveInt, Probability, Width
from runner.models.convolution import GCN
from runner.models.message_passing import MessagePassing


class NormedGCN(MessagePassing):
    """LayerNorm(x_L), where x_l = [ReLU](dropout(norm(GCN(x_{l-1})))) [+ x_{l-1}].

    The encoder of LPFormer (arXiv 2310.11009), and with ``norm="graph"`` and without
    ``activate_last`` that of PyTorch Geometric's class of this name. Categories are embedded and
    learned; in the paper's release those of ogbl-ddi stay as they were drawn.

    Args:
        num_features: F, of real features; ignored where ``num_categories`` is given.
        num_categories: number of category ids, None for real features.
        hidden: width H of the embeddings.
        layers: number of convolutions.
        norm: after a convolution: ``rows``, LayerNorm; ``graph``, of one mean and one deviation
            over all nodes and channels; ``none``.
        relu: whether a ReLU follows.
        activate_last: whether norm, dropout and ReLU follow the last convolution too.
        residual: add a layer's input to its output where the widths agree.
        input_dropout: of real features.
        hidden_dropout: after each norm.
    """

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        hidden: InConfig[Width] = 64,
        layers: InConfig[PositiveInt] = 1,
        norm: InConfig[Literal["rows", "graph", "none"]] = "rows",
        relu: InConfig[bool] = True,
        activate_last: InConfig[bool] = True,
        residual: InConfig[bool] = False,
        input_dropout: InConfig[Probability] = 0.0,
        hidden_dropout: InConfig[Probability] = 0.1,
    ) -> None:
        super().__init__(
            num_features=num_features,
            num_categories=num_categories,
            hidden=hidden,
            layers=layers,
            convolution=GCN,
            residual=residual,
            input_dropout=input_dropout,
            hidden_dropout=hidden_dropout,
        )
        norms: dict[str, type[nn.Module]] = {
            "rows": nn.LayerNorm, "graph": GraphNorm, "none": nn.Identity
        }  # fmt: skip
        self.activations = nn.ModuleList(
            nn.Sequential(
                norms[norm](hidden),
                nn.Dropout(hidden_dropout),
                nn.ReLU() if relu else nn.Identity(),
            )
            if activate_last or layer < layers - 1
            else nn.Identity()
            for layer in range(layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.reads_all = any(isinstance(module, GraphNorm) for module in self.modules())

    @property
    def layers(self) -> int | None:  # type: ignore[override]
        """None with a norm over all nodes, whose embeddings depend on each other."""
        return None if self.reads_all else len(self.convolutions)

    def _combined(self, outputs: Sequence[Tensor]) -> Tensor:
        return self.norm(outputs[-1])


class GraphNorm(nn.Module):
    """(x - mean) / (deviation + ε), both over the whole array, with a weight and bias a channel."""

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x - x.mean()
        return x / (x.square().mean().sqrt() + self.eps) * self.weight + self.bias
