"""The mean of the probabilities that each layer of the embeddings gives a pair."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from runner.keys import InConfig, Width
from runner.models.predictor import Predictor, View
from runner.ops.aggregate import pair_product


class LayerMean(Predictor):
    """logit of mean_l sigma(s_l), with the score s_l = z_u · z_v of each layer l.

    With a threshold s_l = |z_u ⊙ z_v|² - threshold, the goodness of the forward-forward algorithm
    (ForwardGNN, arXiv 2403.11004). A single layer's logit is s_l itself.

    Args:
        hidden: width H of a layer's embeddings.
        threshold: of the goodness; None for the inner product.
    """

    reach = 0

    def __init__(
        self, *, hidden: InConfig[Width] = 64, threshold: InConfig[float | None] = None
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.threshold = threshold

    @property
    def trainable(self) -> bool:
        """The embeddings are."""
        return True

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B), from embeddings (N, k H) of k layers.

        The graph is not read.
        """
        product = pair_product(h, pairs).unflatten(1, (-1, self.hidden))
        if self.threshold is None:
            scores = product.sum(dim=2)
        else:
            scores = product.square().sum(dim=2) - self.threshold
        if scores.size(1) == 1:
            return scores.squeeze(1)
        # In logarithms, in which a probability near 1 is none of the ties that sigma makes.
        return logsigmoid(scores).logsumexp(1) - logsigmoid(-scores).logsumexp(1)
