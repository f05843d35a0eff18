"""Weights of the encoder's messages that a run computes while it trains: `train.reweight`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from runner.errors import RunnerError
from runner.models.encoder import Encoder
from runner.models.predictor import NoPredictor, Predictor
from runner.ops.csr import Graph
from runner.ops.message_weights import MessageWeights
from runner.ops.sparse_rows import SparseRows

if TYPE_CHECKING:
    from runner.models.link_model import LinkModel


class Reweighting(nn.Module):
    """Weights of the messages along the training graph. A subclass says when and what they become.

    They are state of the model: training, evaluation and a finished run read them, and checkpoints
    hold them. Until the first refresh they are the encoder's own (`Encoder.message_weights`).
    """

    entries: Tensor
    loops: Tensor
    graph: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("entries", "loops"):
            self.register_buffer(name, torch.empty(0))
        # So that no other graph is read with them.
        self.register_buffer("graph", torch.empty(0, dtype=torch.uint8))

    def due(self, epoch: int) -> bool:
        """Whether the weights are computed anew after this epoch."""
        raise NotImplementedError

    def computed(
        self, model: LinkModel, features: Tensor | SparseRows, graph: Graph
    ) -> MessageWeights:
        """The new weights, from the training graph and from the model in evaluation mode."""
        raise NotImplementedError

    def start(self, encoder: Encoder, predictor: Predictor, graph: Graph) -> None:
        """Take the encoder's own weights on the training graph.

        Raises:
            RunnerError: if this model's messages cannot be re-weighted.
        """
        if isinstance(predictor, NoPredictor) or not predictor.reads_embeddings or predictor.reach:
            raise RunnerError(
                "train.reweight: a message has the weight of its ends' score, and this predictor "
                "does not score embeddings alone; give model=hadamard_mlp, or train.reweight=none"
            )
        self._take(self.own_weights(encoder, graph))
        self.graph = _digest(graph)

    def refresh(self, model: LinkModel, features: Tensor | SparseRows, graph: Graph) -> None:
        """Compute the weights anew."""
        model.eval()
        with torch.no_grad():
            self._take(self.computed(model, features, graph))

    def own_weights(self, encoder: Encoder, graph: Graph) -> MessageWeights:
        """The weights that the encoder gives its messages itself.

        Raises:
            RunnerError: if it has none.
        """
        found = encoder.message_weights(graph)
        if found is None:
            raise RunnerError(
                "train.reweight: this encoder does not take the weights of its messages as they "
                "are; give encoder=gcn, sage or puregcn, or train.reweight=none"
            )
        return found

    def weights(self, graph: Graph) -> MessageWeights:
        """The weights of now.

        Raises:
            RunnerError: if the graph is not that of training.
        """
        if not torch.equal(_digest(graph), self.graph.cpu()):
            raise RunnerError(
                "train.reweight: only the links of the training graph have weights, and this graph "
                "has others; score on that graph (protocol.validation_edges_in_test_graph=false, "
                "no added links), or train without it"
            )
        return MessageWeights(self.entries, self.loops)

    def _take(self, weights: MessageWeights) -> None:
        self.entries, self.loops = weights.entries, weights.loops

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("entries", "loops", "graph"):  # whatever their size
            if prefix + name in state_dict:
                setattr(
                    self,
                    name,
                    torch.empty_like(state_dict[prefix + name], device=self.entries.device),
                )
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _digest(graph: Graph) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(graph.fingerprint), dtype=torch.uint8)
