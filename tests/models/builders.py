"""The models as tests build them: small, and without chance unless a test asks for it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from runner.models.bilinear import Bilinear
from runner.models.buddy import BUDDY
from runner.models.completed import Completed
from runner.models.completion import Completion, LearnedPrior
from runner.models.concat_mlp import ConcatMLP
from runner.models.convolution import GCN
from runner.models.gae import GAE
from runner.models.gae_cn import GAECN
from runner.models.hadamard_mlp import HadamardMLP
from runner.models.inner_product import InnerProduct
from runner.models.layer_mean import LayerMean
from runner.models.lcm import LCM
from runner.models.lpformer import LPFormer
from runner.models.message_passing import MessagePassing
from runner.models.mplp import MPLP
from runner.models.ncn import NCN
from runner.models.ncn2 import NCN2
from runner.models.ncn_diff import NCNDiff
from runner.models.ncnc import NCNC
from runner.models.neo_gnn import NeoGNN
from runner.models.ocn import OCN
from runner.models.seal import SEAL
from runner.models.signatures import Signatures

HIDDEN = 6
TWO_LAYER = {"last_linear": True, "two_layer_head": True}
PREDICTORS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "inner_product": (InnerProduct, {}),
    "layer_mean": (LayerMean, {"hidden": 3}),
    "goodness": (LayerMean, {"hidden": 3, "threshold": 2.0}),
    "bilinear": (Bilinear, {}),
    "concat_mlp": (ConcatMLP, {"layers": 3}),
    "hadamard_mlp": (HadamardMLP, {"layers": 3, "layer_norm": False}),
    "refined_gae": (
        HadamardMLP,
        {"layers": 4, "residual": True, "scale": True, "activation": "silu"},
    ),
    "gae": (GAE, {}),
    "gae_cn": (GAECN, {}),
    "ncn": (NCN, {}),
    "ncn_diff": (NCNDiff, {}),
    "ncn2": (NCN2, {}),
    "ncn_diff_lcm": (NCNDiff, {}),
    "ocn": (OCN, {}),
    "ocnp": (OCN, {"orthogonal": False, "second_order": "walks"}),
    "ncnc": (NCNC, {}),
    "ncnc_ocn": (Completed, {"relative": "ocn"}),
    "ncnc_of_ncn2": (Completed, {"relative": "ncn2"}),
    "ncnc2": (NCNC, {"depth": 2}),
    "ncnc_learned_t": (NCNC, {}),
    "mplp": (MPLP, {}),
    "mplp_plus": (MPLP, {"numbers": "prop_only"}),
    "mplp_ra": (MPLP, {"numbers": "prop_only", "node_weight": "RA"}),
    "mplp_mlp": (MPLP, {"numbers": "exact", "node_weight": "mlp", "combine": "plus_minus"}),
    "buddy": (BUDDY, {"count_dropout": 0.0}),
    "buddy3": (BUDDY, {"count_dropout": 0.0, "hops": 3, "normed": True, "zero_one": False}),
    "buddy1": (BUDDY, {"count_dropout": 0.0, "hops": 1, "resource_allocation": True}),
    # Pushed so far that PageRank does not depend on the order of the nodes.
    "lpformer": (LPFormer, {"epsilon": 1e-14}),
    "neo_gnn": (NeoGNN, {}),
    "seal": (SEAL, {"layers": 2}),
}
CONSTANTS = {"t": 0.3, "s": 1.7, "o": 0.1, "alpha": 1.05}

_PREDICTOR = {
    "hidden": HIDDEN,
    "dropout": 0.0,
    "edge_dropout": 0.0,
    "node_transform": True,
    "last_linear": False,
    "two_layer_head": False,
    "layer_norm": True,
}
_COMPLETION = {**CONSTANTS, "chunk_size": None, "keep_train": None, "keep_eval": None, "seed": 0}
_ENCODER = {
    "num_features": 7,
    "num_categories": None,
    "hidden": HIDDEN,
    "layers": 1,
    "convolution": GCN,
    "residual": False,
    "jumping_knowledge": False,
    "layer_norm": True,
    "input_dropout": 0.0,
    "hidden_dropout": 0.0,
    "output_dropout": 0.0,
    "edge_dropout": 0.0,
}


def predictor(
    name: str, *, completion: Mapping[str, Any] | None = None, **changed: Any
) -> nn.Module:
    """A predictor by the name of its config; what its kind has no argument for is left out.

    Args:
        name: one of PREDICTORS.
        completion: changes to its completion stage, if it has one.
        changed: changes to its own arguments.
    """
    kind, of_name = PREDICTORS[name]
    given = {**_PREDICTOR, **of_name, **changed}
    if kind is Completed:
        given["relative"] = predictor(given["relative"], **changed)
    if issubclass(kind, NCNC):
        learned = {"t": LearnedPrior(hidden=given["hidden"])} if name == "ncnc_learned_t" else {}
        given["completion"] = build_completion(**{**learned, **(completion or {})})
    if name == "ncn_diff_lcm":
        given["pool"] = LCM(hidden=given["hidden"], identity="learned")
    if kind is MPLP:  # counts without chance
        dropouts = {"feature_dropout": given["dropout"], "number_dropout": given["dropout"]}
        given = {"signatures": Signatures(kind="onehot"), **dropouts, **given}
    taken = inspect.signature(kind).parameters
    return kind(**{key: v for key, v in given.items() if key in taken or key not in _PREDICTOR})


def build_completion(**changed: Any) -> Completion:
    return Completion(**{**_COMPLETION, **changed})


def build_encoder(**changed: Any) -> MessagePassing:
    return MessagePassing(**{**_ENCODER, **changed})
