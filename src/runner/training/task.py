"""What is learnt: features, graphs, and the links that are scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from runner.data.link_data import EvaluationSplit
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a model is given of a graph.

    Attributes:
        features: (N, F) floating point, dense or sparse, or (N,) int64 category ids.
        structure: what the predictor has computed of the graph once.
        weight: (E,) of the graph's entries, for the encoder; None for ones.
    """

    features: Tensor | SparseRows
    graph: Graph
    structure: Any = None
    weight: Tensor | None = None

    @property
    def has_columns(self) -> bool:
        """Whether the features are numbers, of which each column can be dropped."""
        return isinstance(self.features, SparseRows) or self.features.is_floating_point()


@dataclass(frozen=True, eq=False)
class Task:
    """What is learnt: inputs in training, validation and the test, and the scored links.

    Attributes:
        valid_graph: with the support links of validation, where the split has some.
        test_graph: with these and those of the test, and with the validation edges where the
            protocol says so.
    """

    features: Tensor | SparseRows
    train_graph: Graph
    valid_graph: Graph
    test_graph: Graph
    valid: EvaluationSplit
    test: EvaluationSplit
    train_structure: Any = None
    valid_structure: Any = None
    test_structure: Any = None

    @property
    def train_inputs(self) -> Inputs:
        return Inputs(self.features, self.train_graph, self.train_structure)

    @property
    def valid_inputs(self) -> Inputs:
        return Inputs(self.features, self.valid_graph, self.valid_structure)

    @property
    def test_inputs(self) -> Inputs:
        return Inputs(self.features, self.test_graph, self.test_structure)

    def with_structures(self, train: Any, valid: Any, test: Any) -> Task:
        return replace(self, train_structure=train, valid_structure=valid, test_structure=test)
