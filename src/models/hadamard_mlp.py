"""An MLP of the product of both embeddings, plain or deep with residuals."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor, nn

from runner.keys import Before, InConfig, PositiveInt, Probability, Width
from runner.models.mlp import MLP, AddInput, Dropout, ExactLinear
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pair_product

_SMOOTH = {"silu": nn.SiLU, "gelu": nn.GELU}


class HadamardMLP(Predictor):
    """logit(u, v) = MLP(z), z = h_u ⊙ h_v, of Linear, dropout, ReLU, …, Linear to one logit.

    As the plain GNNs of the HeaRT benchmark (arXiv 2306.10453): to drop after the ReLU is the same.
    With all options as Refined-GAE (arXiv 2411.03845): z may be normalised, and a hidden layer is
    dropout(activation(LayerNorm(Linear(·) + z))).

    Args:
        hidden: width H of the embeddings and of the layers.
        layers: number of Linears.
        dropout: rate in every hidden layer.
        width: of the layers, where it is another than that of the embeddings.
        residual: z is added after every hidden Linear.
        layer_norm: LayerNorm in every hidden layer.
        scale: LayerNorm of the product, which z is then.
        activation: of the hidden layers.

    Raises:
        ValueError: if a residual meets another width, or an option has no hidden layer to act on.
    """

    reach = 0

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 64,
        layers: InConfig[PositiveInt] = 2,
        dropout: InConfig[Probability] = 0.1,
        width: Annotated[Width | None, Before(None)] = None,
        residual: Annotated[bool, Before(False)] = False,
        layer_norm: Annotated[bool, Before(False)] = False,
        scale: Annotated[bool, Before(False)] = False,
        activation: Annotated[Literal["relu", "silu", "gelu"], Before("relu")] = "relu",
    ) -> None:
        super().__init__()
        inner = hidden if width is None else width
        if residual and inner != hidden:
            raise ValueError(
                f"model.residual=true: the product is {hidden} wide and the layers are "
                f"model.width={inner}; leave one out"
            )
        idle = [n for n, v in (("residual", residual), ("layer_norm", layer_norm)) if v]
        idle += [f"width={width}"] if width is not None else []
        idle += [f"activation={activation}"] if activation != "relu" else []
        if layers == 1 and idle:
            raise ValueError(
                f"model.layers=1: there is no hidden layer for model.{idle[0]}; leave it out"
            )
        self.scale = nn.LayerNorm(hidden) if scale else nn.Identity()
        blocks: list[nn.Module] = []
        for layer in range(layers - 1):
            blocks.append(nn.Linear(hidden if layer == 0 else inner, inner))
            blocks += [AddInput()] if residual else []
            blocks += [nn.LayerNorm(inner)] if layer_norm else []
            if activation == "relu":
                blocks += [nn.Dropout(dropout), nn.ReLU()]
            else:
                blocks += [_SMOOTH[activation](), Dropout(dropout)]
        self.mlp = MLP(*blocks, ExactLinear(inner if layers > 1 else hidden, 1))

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, H); the graph is not read."""
        return self.mlp(self.scale(pair_product(h, pairs))).squeeze(-1)
