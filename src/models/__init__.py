"""Encoders, predictors, and the model that is made of both; usable without a run.

Example:
    >>> graph = Graph.from_networkx(networkx.les_miserables_graph())
    >>> model = LinkModel(MessagePassing(num_categories=graph.num_nodes), NCNC())
    >>> logits = model(torch.arange(graph.num_nodes), graph, torch.tensor([[0, 1], [2, 3]]))
"""

from runner.models.buddy import BUDDY
from runner.models.catgcn import CatGCN
from runner.models.completed import Completed
from runner.models.completion import Completion, LearnedPrior
from runner.models.convolution import (
    GCN,
    GIN,
    SAGE,
    Convolution,
    MeanLinear,
    NoLoopGCN,
    PureConvolution,
    PureGCN,
    PureMax,
    PureMean,
    PureSum,
    SumLinear,
)
from runner.models.encoder import Encoder, NoEncoder
from runner.models.explanation import Explanation, Part
from runner.models.features import Features
from runner.models.gae import GAE
from runner.models.gae_cn import GAECN
from runner.models.hadamard_mlp import HadamardMLP
from runner.models.heuristics import (
    AdamicAdar,
    CommonNeighbours,
    Katz,
    PersonalisedPageRank,
    ResourceAllocation,
    ShortestPath,
)
from runner.models.inner_product import InnerProduct
from runner.models.layer_local import LayerLocal
from runner.models.layer_mean import LayerMean
from runner.models.lcm import LCM, LCMConvolution
from runner.models.linear_gcn import LinearGCN
from runner.models.link_model import LinkModel
from runner.models.lpformer import LPFormer
from runner.models.message_passing import MessagePassing
from runner.models.mixture import Mixture
from runner.models.mplp import MPLP
from runner.models.ncn import NCN
from runner.models.ncn2 import NCN2
from runner.models.ncn_diff import NCNDiff
from runner.models.ncnc import NCNC
from runner.models.neighbour_cvae import NeighbourCVAE
from runner.models.neo_gnn import NeoGNN
from runner.models.normed_gcn import NormedGCN
from runner.models.ocn import OCN
from runner.models.predictor import NoPredictor, Predictor, View
from runner.models.seal import SEAL
from runner.models.sign import SIGN
from runner.models.signatures import Signatures
from runner.models.sir_gcn import SIR

__all__ = [
    "BUDDY",
    "GAE",
    "GAECN",
    "GCN",
    "GIN",
    "LCM",
    "MPLP",
    "NCN",
    "NCN2",
    "NCNC",
    "OCN",
    "SAGE",
    "SEAL",
    "SIGN",
    "SIR",
    "AdamicAdar",
    "CatGCN",
    "CommonNeighbours",
    "Completed",
    "Completion",
    "Convolution",
    "Encoder",
    "Explanation",
    "Features",
    "HadamardMLP",
    "InnerProduct",
    "Katz",
    "LCMConvolution",
    "LPFormer",
    "LayerLocal",
    "LayerMean",
    "LearnedPrior",
    "LinearGCN",
    "LinkModel",
    "MeanLinear",
    "MessagePassing",
    "Mixture",
    "NCNDiff",
    "NeighbourCVAE",
    "NeoGNN",
    "NoEncoder",
    "NoLoopGCN",
    "NoPredictor",
    "NormedGCN",
    "Part",
    "PersonalisedPageRank",
    "Predictor",
    "PureConvolution",
    "PureGCN",
    "PureMax",
    "PureMean",
    "PureSum",
    "ResourceAllocation",
    "ShortestPath",
    "Signatures",
    "SumLinear",
    "View",
]
