"""The releases of LPFormer, the paper's and PyTorch Geometric's: their names of our modules."""

from __future__ import annotations

from tests.releases.translation import Translation
from torch import nn

from runner.models.lpformer import LPFormer
from runner.models.mlp import MLP
from runner.models.normed_gcn import NormedGCN


def translate(module: nn.Module) -> Translation | None:
    """What the releases call the weights of ``module``; None of a module that they have not.

    A file of theirs holds encoder and predictor, and each is filled with what is its own.
    """
    if isinstance(module, NormedGCN):
        return Translation(_encoder_names(module), _PREDICTOR)
    if isinstance(module, LPFormer):
        return Translation(_predictor_names(module), _ENCODER)
    return None


_ENCODER = ("gnn", "gnn_norm", "node_encoder")
_PREDICTOR = (
    "att_layers", "elementwise_lin", "pairwise_lin", "ppr_encoder_cn", "ppr_encoder_onehop",
    "ppr_encoder_non1hop", "score", "score_func", "node_encoder.feat_transform",
)  # fmt: skip


def _encoder_names(module: NormedGCN) -> dict[str, str]:
    names = {}
    for gnn, norms in (
        ("gnn", "gnn.norms"),
        ("node_encoder.gnn_encoder", "node_encoder.gnn_encoder.lns"),
    ):
        for layer in range(len(module.convolutions)):
            names[f"{gnn}.convs.{layer}.lin.weight"] = f"convolutions.{layer}.linear.weight"
            names[f"{gnn}.convs.{layer}.bias"] = f"convolutions.{layer}.bias"
            for kind in ("weight", "bias"):
                names[f"{norms}.{layer}.{kind}"] = f"activations.{layer}.0.{kind}"
    return names | {f"gnn_norm.{kind}": f"norm.{kind}" for kind in ("weight", "bias")}


def _predictor_names(module: LPFormer) -> dict[str, str]:
    names = {}
    for attention in ("att_layers.0", "att_layers.0.att"):
        names |= {f"{attention}.att": "attention", f"{attention}.bias": "bias"}
        for release, ours in (("lin_l", "left"), ("lin_r", "right")):
            names |= {f"{attention}.{release}.{kind}": f"{ours}.{kind}" for kind in _BOTH}
    names |= {f"att_layers.0.post_att_norm.{kind}": f"norm.{kind}" for kind in _BOTH}
    places = ("ppr_encoder_cn", "ppr_encoder_onehop", "ppr_encoder_non1hop")
    mlps = {"elementwise_lin": "f_pair", "pairwise_lin": "f_around"}
    mlps |= {release: f"places.{number}" for number, release in enumerate(places)}
    for release, ours in mlps.items():
        for theirs, place in (("linears.0", 0), ("norm", 1), ("linears.1", 4)):
            names |= {f"{release}.{theirs}.{kind}": f"{ours}.{place}.{kind}" for kind in _BOTH}
    for number, place in enumerate(_places_of_linears(module.score)):
        for release in ("score_func.linears", "score.lins"):
            names |= {f"{release}.{number}.{kind}": f"score.{place}.{kind}" for kind in _BOTH}
    return names


_BOTH = ("weight", "bias")


def _places_of_linears(mlp: MLP) -> list[int]:
    return [place for place, layer in enumerate(mlp) if isinstance(layer, nn.Linear)]
