"""Negatives of validation and test by the protocol, in the place of those of the split."""

from __future__ import annotations

from abc import ABC, abstractmethod

from runner.data.link_data import LinkData
from runner.ops.csr import Graph


class EvaluationNegatives(ABC):
    """Chooses what validation and test links are ranked against: `protocol.negatives`."""

    @abstractmethod
    def draw(self, data: LinkData, valid_graph: Graph, test_graph: Graph) -> LinkData:
        """The dataset with other negatives, and so with another fingerprint.

        Args:
            valid_graph, test_graph: what models see in validation and in the test.

        Raises:
            RunnerError: if there are too few; names the key and the remedy.
        """
