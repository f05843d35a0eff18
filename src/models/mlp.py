"""The small networks that the predictors are made of, layer for layer those of the release."""

from __future__ import annotations

from torch import Tensor, nn

from ops.aggregate import gather


def neighbour_mlp(
    in_features: int, hidden: int, *, dropout: float, layer_norm: bool, last_linear: bool
) -> nn.Sequential:
    """f_cn: Linear, dropout, ReLU, Linear, LayerNorm, dropout, ReLU, [Linear]."""
    layers = [
        nn.Linear(in_features, hidden),
        nn.Dropout(dropout),
        nn.ReLU(inplace=True),
        *_block(hidden, dropout=dropout, layer_norm=layer_norm),
    ]
    if last_linear:
        layers.append(nn.Linear(hidden, hidden))
    return nn.Sequential(*layers)


def pair_mlp(hidden: int, *, dropout: float, layer_norm: bool, last_linear: bool) -> nn.Sequential:
    """f_pair: Linear, LayerNorm, dropout, ReLU, [Linear]."""
    layers = _block(hidden, dropout=dropout, layer_norm=layer_norm)
    if last_linear:
        layers.append(nn.Linear(hidden, hidden))
    return nn.Sequential(*layers)


def node_mlp(hidden: int, *, dropout: float, layer_norm: bool) -> nn.Sequential:
    """g: Linear, dropout, ReLU, Linear, LayerNorm, dropout, ReLU."""
    return neighbour_mlp(hidden, hidden, dropout=dropout, layer_norm=layer_norm, last_linear=False)


def head(hidden: int, *, dropout: float, layer_norm: bool, two_layer: bool) -> nn.Sequential:
    """Linear, LayerNorm, dropout, ReLU, [the same again], Linear to one logit."""
    layers = _block(hidden, dropout=dropout, layer_norm=layer_norm)
    if two_layer:
        layers += _block(hidden, dropout=dropout, layer_norm=layer_norm)
    return nn.Sequential(*layers, nn.Linear(hidden, 1))


def pair_product(h: Tensor, pairs: Tensor) -> Tensor:
    """h_u ⊙ h_v of every pair: (N, H) and (2, B) give (B, H)."""
    return gather(h, pairs[0]) * gather(h, pairs[1])


def _block(hidden: int, *, dropout: float, layer_norm: bool) -> list[nn.Module]:
    norm = nn.LayerNorm(hidden) if layer_norm else nn.Identity()
    return [nn.Linear(hidden, hidden), norm, nn.Dropout(dropout), nn.ReLU(inplace=True)]
