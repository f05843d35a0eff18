"""Scores of pairs, and embeddings of nodes, from a trained model on one graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from runner.errors import RunnerError
from runner.experiment.structures import structure_of
from runner.models.predictor import View
from runner.ops.csr import Graph
from runner.prediction.trained import Trained


class Scorer:
    """Scores as evaluation does, up to rounding; the encoder runs once.

    Args:
        graph: of the links that encoder and predictor see, on the CPU.
    """

    def __init__(self, trained: Trained, graph: Graph) -> None:
        self._trained = trained
        self.graph = graph
        self.batch_size = trained.config.train.eval_batch_size

    @cached_property
    def view(self) -> View:
        """The graph, on the device, with the predictor's structure of it."""
        config, device = self._trained.config, self._trained.device
        structure = structure_of(self.graph, self._trained.model.predictor, config, device)
        return View.of(self.graph.to(device), structure)

    @cached_property
    def embeddings(self) -> Tensor:
        """(N, H), on the device."""
        with torch.no_grad():
            return self._trained.model.encode(self._trained.features, self.view.graph)

    def score(self, pairs: Tensor) -> np.ndarray:
        """Logits, or what a heuristic gives, (P,) float64, of ``pairs``, (2, P) int64.

        Raises:
            RunnerError: if a score is no number.
        """
        scores = np.empty(pairs.size(1))
        at = 0
        with torch.no_grad():
            for batch in pairs.split(self.batch_size, dim=1):
                found = self._score_batch(batch.to(self._trained.device))
                scores[at : at + batch.size(1)] = found.double().cpu().numpy()
                at += batch.size(1)
        if np.isnan(scores).any():
            raise RunnerError(
                f"{self._trained.folder.path}: its model gives scores that are no numbers (NaN); "
                "train it anew"
            )
        return scores

    @cached_property
    def _score_batch(self) -> Callable[[Tensor], Tensor]:
        return self._trained.model.fast_scorer(self.embeddings, self.view)
