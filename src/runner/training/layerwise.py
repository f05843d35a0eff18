"""Layer-local learning: each layer of an encoder on its own loss, one after another."""

from __future__ import annotations

from torch import Tensor

from runner.data.link_data import LinkData
from runner.errors import RunnerError
from runner.keys import InConfig
from runner.models.layer_local import LayerLocal
from runner.models.layer_mean import LayerMean
from runner.models.link_model import LinkModel
from runner.training.objective import LinkPrediction, Step


class Layerwise(LinkPrediction):
    """The loss of :class:`LinkPrediction` on the scores of one layer, in a phase for each layer.

    The layers below are frozen, those above have no part yet, and no gradient passes between
    layers (ForwardGNN, arXiv 2403.11004, Algorithm 4).

    Args:
        threshold: of a pair's goodness, the forward-forward form; None for inner products.
    """

    def __init__(self, *, threshold: InConfig[float | None] = None) -> None:
        self.threshold = threshold

    def check(self, model: LinkModel, data: LinkData) -> None:
        encoder, predictor = model.encoder, model.predictor
        if not isinstance(encoder, LayerLocal) or not isinstance(predictor, LayerMean):
            raise RunnerError(
                "objective: layers learn alone where an encoder keeps them apart and a predictor "
                "scores by each; give encoder=layer_local with its model, or take "
                "objective=link_prediction"
            )
        if predictor.threshold != self.threshold:
            raise RunnerError(
                f"model.threshold={predictor.threshold}: the layers learn with "
                f"objective.threshold={self.threshold}; leave the model's out, it follows"
            )

    def phases(self, model: LinkModel) -> int:
        return _layers(model).layers

    def begin(self, phase: int, model: LinkModel) -> None:
        _layers(model).learn(phase)

    def loss(self, step: Step) -> Tensor:
        step.embeddings = step.embeddings[:, -_layers(step.model).hidden :]
        return super().loss(step)


def _layers(model: LinkModel) -> LayerLocal:
    assert isinstance(model.encoder, LayerLocal), "check() refuses every other"
    return model.encoder
