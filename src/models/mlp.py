"""The small networks that the predictors are made of, layer for layer those of the release."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.ops.activation import Norm, rectify
from runner.ops.activation import dropout as drop
from runner.ops.backend import exact


class AddInput(nn.Identity):
    """Adds what an :class:`MLP` was given to what its layers have come to."""


class MLP(nn.Sequential):
    """Layers one after the other, as ``nn.Sequential``; what stands before a Linear in one step.

    ``nn.Sequential.forward`` gives the same, LayerNorm, dropout and ReLU one by one, where there is
    no :class:`AddInput`.
    """

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x, dropout=self.training)

    def run(
        self, x: Tensor, *, dropout: bool, seed: int | None = None, overwrite: bool = False
    ) -> Tensor:
        """The same with dropout on or off, whatever the mode of the module.

        Args:
            seed: of the dropout, see :func:`runner.ops.activation.rectify`; None draws one.
            overwrite: ``x`` may be worked on in place, see :func:`runner.ops.activation.rectify`.
        """
        given, norm, p, fresh = x, None, 0.0, overwrite
        for place, layer in enumerate(self):
            if isinstance(layer, nn.LayerNorm):
                norm = Norm(layer.weight, layer.bias, layer.eps)
            elif isinstance(layer, Dropout):
                x = drop(x, layer.p if dropout else 0.0)
            elif isinstance(layer, nn.Dropout):
                p = layer.p if dropout else 0.0
            elif isinstance(layer, nn.ReLU):
                # What a Linear has just made is nobody's but ours.
                own_seed = None if seed is None else seed + place
                x = rectify(x, norm=norm, p=p, seed=own_seed, overwrite=fresh)
                norm, p, fresh = None, 0.0, False  # its gradient needs it
            elif isinstance(layer, nn.SiLU | nn.GELU):
                x = exact(x)
                if norm is not None:
                    x = F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps)
                x, norm, fresh = layer(x), None, False
            elif isinstance(layer, AddInput):
                x = x + given
            elif not isinstance(layer, nn.Identity):
                x, fresh = layer(x), True
        assert norm is None and p == 0, "what stands before a Linear ends in a ReLU"
        return x


class ExactLinear(nn.Linear):
    """A Linear in the type of its weights also under autocast: logits that tie rank nothing."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(exact(x))


class Dropout(nn.Dropout):
    """Dropout by :func:`runner.ops.activation.dropout`; in an :class:`MLP` a step of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return drop(x, self.p if self.training else 0.0)


def neighbour_mlp(
    in_features: int, hidden: int, *, dropout: float, layer_norm: bool, last_linear: bool
) -> MLP:
    """f_cn: Linear, dropout, ReLU, Linear, LayerNorm, dropout, ReLU, [Linear]."""
    layers = [
        nn.Linear(in_features, hidden),
        nn.Dropout(dropout),
        nn.ReLU(),
        *_block(hidden, dropout=dropout, layer_norm=layer_norm),
    ]
    if last_linear:
        layers.append(nn.Linear(hidden, hidden))
    return MLP(*layers)


def pair_mlp(hidden: int, *, dropout: float, layer_norm: bool, last_linear: bool) -> MLP:
    """f_pair: Linear, LayerNorm, dropout, ReLU, [Linear]."""
    layers = _block(hidden, dropout=dropout, layer_norm=layer_norm)
    if last_linear:
        layers.append(nn.Linear(hidden, hidden))
    return MLP(*layers)


def node_mlp(hidden: int, *, dropout: float, layer_norm: bool) -> MLP:
    """g: Linear, dropout, ReLU, Linear, LayerNorm, dropout, ReLU."""
    return neighbour_mlp(hidden, hidden, dropout=dropout, layer_norm=layer_norm, last_linear=False)


def head(hidden: int, *, dropout: float, layer_norm: bool, two_layer: bool) -> MLP:
    """Linear, LayerNorm, dropout, ReLU, [the same again], Linear to one logit."""
    layers = _block(hidden, dropout=dropout, layer_norm=layer_norm)
    if two_layer:
        layers += _block(hidden, dropout=dropout, layer_norm=layer_norm)
    return MLP(*layers, ExactLinear(hidden, 1))


def between(hidden: int, *, layer_norm: bool, relu: bool, dropout: float) -> nn.Sequential:
    """What stands before a convolution: [LayerNorm], [ReLU], dropout."""
    norm = nn.LayerNorm(hidden) if layer_norm else nn.Identity()
    if relu:
        return MLP(norm, nn.Dropout(dropout), nn.ReLU())
    return nn.Sequential(norm, Dropout(dropout))


def _block(hidden: int, *, dropout: float, layer_norm: bool) -> list[nn.Module]:
    norm = nn.LayerNorm(hidden) if layer_norm else nn.Identity()
    return [nn.Linear(hidden, hidden), norm, nn.Dropout(dropout), nn.ReLU()]
