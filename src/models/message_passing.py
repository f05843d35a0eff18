"""The shipped encoder: an input stage and a stack of convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.errors import RunnerError
from runner.keys import Before, Effect, InConfig, Layers, Probability, RunSeed, Text, Width
from runner.models.augmentation import Augmentation, Join, Sets, sets_of
from runner.models.convolution import GCN, Convolution
from runner.models.encoder import Encoder
from runner.models.mlp import MLP, Dropout
from runner.models.neighbour_cvae import dense
from runner.models.node_embedding import NodeEmbedding
from runner.models.node_input import FeatureLinear, NodeInput
from runner.ops.backend import exact
from runner.ops.bipartite import Bipartite, first_rows
from runner.ops.csr import Graph
from runner.ops.edge_dropout import drop_entries
from runner.ops.message_weights import MessageWeights
from runner.ops.sparse_rows import SparseRows


class MessagePassing(Encoder):
    """An input stage and a stack of convolutions.

    Input stage: real features → dropout(input) → for convolutions without weights, or none at all,
    Linear → dropout(hidden). Categories → orthogonal embedding → dropout(hidden).

    Layers: convolutions with weights are followed by LayerNorm, dropout(hidden), ReLU, except the
    last of several (an only one is, unless ``activate_single`` is false); of those without, the
    last alone is followed by dropout(output), the only place where that rate acts.

    With ``embedding``, learned rows stand beside the features, or are the features of categories.

    Args:
        num_features: F, of real features; ignored where ``num_categories`` is given.
        num_categories: number of category ids, None for real features.
        num_nodes: of the whole graph, for an ``embedding`` beside real features.
        hidden: width H of the embeddings.
        layers: number of convolutions; 0 is the input stage alone.
        convolution: class of every convolution.
        residual: add a layer's input to its output where the widths agree.
        jumping_knowledge: return a learned combination of all layers' outputs, the weights drawn
            from N(0, 1) and not normalised.
        layer_norm: LayerNorm after convolutions with weights.
        activate_single: an only convolution with weights is followed by LayerNorm, dropout and ReLU
            too, as in the NCN release.
        activation: false leaves out all that follows convolutions with weights.
        unit_length: divide each row of a convolution's output by its length, as GraphSAGE may.
        embedding: width of learned rows, see :class:`runner.models.node_input.NodeInput`.
        edge_dropout: share of directed entries dropped, anew in every layer; kept ones are scaled
            by 1 / (1 - p), and the convolution's normalisation sees the scaled ones.
        augment: further feature sets beside the features, each with a first-layer map of its own:
            "mean_of_neighbours", or the folder of a run that has learned to generate them, see
            :mod:`runner.models.augmentation`.
        augment_by: the experiment of that run, whatever its seed and place.
        augment_sets: how many are generated; 0 for none.
        augment_join: "sum" of the maps' outputs, or "concat", which takes a further convolution
            with weights.
        augment_seed: of what is generated.
        sparse_embedding: the gradient of the embedding holds the rows that were looked up alone.

    Raises:
        ValueError: if ``layers`` is below 0, a rate out of range, neither number is given, or a
            setting has no effect.
    """

    def __init__(
        self,
        *,
        num_features: int | None = None,
        num_categories: int | None = None,
        num_nodes: int | None = None,
        hidden: InConfig[Width] = 64,
        layers: InConfig[Layers] = 1,
        convolution: InConfig[type[Convolution]] = GCN,
        residual: InConfig[bool] = True,
        jumping_knowledge: InConfig[bool] = False,
        layer_norm: InConfig[bool] = True,
        activate_single: Annotated[bool, Before(True)] = True,
        input_dropout: InConfig[Probability] = 0.0,
        hidden_dropout: InConfig[Probability] = 0.1,
        output_dropout: InConfig[Probability] = 0.0,
        edge_dropout: InConfig[Probability] = 0.0,
        sparse_embedding: Annotated[bool, Before(False)] = False,
        activation: Annotated[bool, Before(True)] = True,
        unit_length: Annotated[bool, Before(False)] = False,
        embedding: Annotated[Width | None, Before(None)] = None,
        augment: Annotated[Text | None, Effect.PLACE, Before(None)] = None,
        augment_by: Annotated[str | None, Before(None)] = None,
        augment_sets: Annotated[Sets, Before(1, "augment")] = 1,
        augment_join: Annotated[Join, Before("sum", "augment")] = "sum",
        augment_seed: Annotated[RunSeed, Before(0, "augment")] = 0,
    ) -> None:
        super().__init__()
        sets = sets_of(
            augment,
            num_features=num_features,
            num_categories=num_categories,
            count=augment_sets,
            join=augment_join,
            seed=augment_seed,
        )
        maps_first = layers > 0 and convolution.has_weights
        side_by_side = sets is not None and augment_join == "concat"
        if side_by_side and (layers < 2 or not maps_first or jumping_knowledge):
            raise RunnerError(
                "encoder.augment_join=concat: the outputs of a first convolution with weights "
                "stand side by side, for a second one; give encoder.augment_join=sum, or at least "
                "two layers with weights and encoder.jumping_knowledge=false"
            )
        of_features = num_features or 0
        if layers < 0:
            raise ValueError(f"layers must be at least 0, got {layers}")
        if not 0 <= edge_dropout < 1:
            raise ValueError(f"edge_dropout must be in [0, 1), got {edge_dropout}")
        if edge_dropout > 0 and not convolution.takes_weights:
            raise ValueError(
                f"edge_dropout={edge_dropout} scales the messages that it keeps, and this "
                "convolution does not weigh messages; give edge_dropout=0"
            )
        if num_features is None:
            if num_categories is None:
                raise ValueError("give num_features of real features, or num_categories of ids")
            num_features = 0
        self.hidden = hidden
        self.residual = residual
        self.edge_dropout = edge_dropout
        self.unit_length = unit_length

        self.learned: NodeInput | None = None
        if embedding is not None:
            if sparse_embedding:
                raise ValueError("sparse_embedding is for ids alone; leave it out, or embedding")
            self.learned = NodeInput(
                num_features=num_features,
                num_categories=num_categories,
                num_nodes=num_nodes,
                width=hidden,
                embedding=embedding,
                embedding_first=False,
            )
            num_features, num_categories = self.learned.width, None
        self.input: nn.Sequential
        width = hidden
        if num_categories is not None:
            learned = NodeEmbedding(num_categories, hidden, sparse=sparse_embedding)
            self.input = nn.Sequential(learned, Dropout(hidden_dropout))
        elif layers == 0 or not convolution.has_weights:
            linear = FeatureLinear(num_features, hidden)
            self.input = nn.Sequential(Dropout(input_dropout), linear, Dropout(hidden_dropout))
        else:
            self.input = nn.Sequential(Dropout(input_dropout))
            width = num_features

        self._convolution = convolution
        self.convolutions = nn.ModuleList()
        self.activations = nn.ModuleList()
        for layer in range(layers):
            last = layer == layers - 1
            self.convolutions.append(convolution(width, hidden))
            width = hidden
            if sets is not None and side_by_side and layer == 0:
                width *= 1 + sets.sets
            after: nn.Module = nn.Identity()
            if not convolution.has_weights:
                if last:
                    after = Dropout(output_dropout)
            elif activation and (not last or (layers == 1 and activate_single)):
                norm = nn.LayerNorm(width) if layer_norm else nn.Identity()
                after = MLP(norm, nn.Dropout(hidden_dropout), nn.ReLU())
            self.activations.append(after)
        self.layer_weights = (
            nn.Parameter(torch.randn(layers)) if jumping_knowledge and layers > 0 else None
        )
        self.augmentation: Augmentation | None = None
        if sets is not None:  # last, so that the rest starts as without
            make_map: type[nn.Module] = convolution if maps_first else FeatureLinear
            self.augmentation = Augmentation(
                sets,
                lambda: make_map(of_features, hidden),
                dropout=Dropout(input_dropout),
                join=augment_join,
            )

    @property
    def layers(self) -> int | None:  # type: ignore[override]
        """How many steps away a node may be that has a part in an embedding."""
        beside = self.learned is not None and self.learned.beside
        further = self.augmentation is not None and self.augmentation.source.reads_graph
        return None if beside or further else len(self.convolutions)

    @property
    def start(self) -> tuple[str, Path] | None:
        return None if self.augmentation is None else self.augmentation.start

    def begin(self, other: Encoder) -> None:
        if self.augmentation is not None:
            self.augmentation.begin(other)

    def message_weights(self, graph: Graph) -> MessageWeights | None:
        return self._convolution.message_weights(graph) if len(self.convolutions) else None

    def forward(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | MessageWeights | None = None,
    ) -> Tensor:
        return self._combined(self._outputs(features, graph, weight))

    def every_layer(
        self, features: Tensor | SparseRows, graph: Graph, weight: Tensor | None = None
    ) -> list[Tensor]:
        return self._outputs(features, graph, weight)

    def loss_terms(self) -> Mapping[str, Tensor]:
        terms: dict[str, Tensor] = {}
        for layer, convolution in enumerate(self.convolutions, 1):
            assert isinstance(convolution, Convolution)
            of_layer = convolution.loss_terms().items()
            terms |= {f"{name} of layer {layer}": term for name, term in of_layer}
        return terms

    def _outputs(
        self,
        features: Tensor | SparseRows,
        graph: Graph | Sequence[Graph | Bipartite],
        weight: Tensor | MessageWeights | None,
    ) -> list[Tensor]:
        """The outputs of the layers, or that of the input stage where there are none."""
        if weight is not None and not isinstance(graph, Graph):
            raise ValueError("edge weights belong to one graph for all layers")
        graphs = [graph] * len(self.convolutions) if isinstance(graph, Graph) else graph
        further = self.augmentation
        sets = [] if further is None else further.source(features, graph)
        x = self._embed(features if self.learned is None else self.learned(features), sets)
        if not graphs:
            return [x]
        outputs: list[Tensor] = []
        for convolution, activation, own in zip(
            self.convolutions, self.activations, graphs, strict=True
        ):
            seen = self._thin(own, x, weight)
            out = convolution(x, *seen)
            if further is not None and not outputs and convolution.has_weights:
                out = further(out, sets, *seen)
            out = activation(F.normalize(out, dim=1) if self.unit_length else out)
            residual = self.residual and out.shape[1] == x.shape[1]
            x = out + first_rows(x, out.size(0)) if residual else out
            outputs.append(x)
        return outputs

    def _combined(self, outputs: list[Tensor]) -> Tensor:
        x = outputs[-1]
        if self.layer_weights is None:
            return x
        with torch.autocast(x.device.type, enabled=False):
            outputs = [exact(first_rows(out, x.size(0))) for out in outputs]
            return torch.stack(outputs, dim=-1) @ self.layer_weights

    def _embed(self, features: Tensor | SparseRows, sets: Sequence[Tensor]) -> Tensor:
        """The input stage. Dropout of the zeros of sparse features would change nothing."""
        if not isinstance(features, SparseRows) and self.augmentation is None:
            return self.input(features)
        if len(self.input) == 1:  # dropout alone: the convolution maps the features itself
            return self.input(dense(features))
        input_dropout, linear, hidden_dropout = self.input
        if isinstance(features, SparseRows):
            x = linear(features.with_value(input_dropout(features.value)))
        else:
            x = linear(input_dropout(features))
        return hidden_dropout(x if self.augmentation is None else self.augmentation(x, sets))

    def _thin(
        self, graph: Graph | Bipartite, like: Tensor, given: Tensor | MessageWeights | None
    ) -> tuple[Graph | Bipartite, Tensor | MessageWeights | None]:
        """One draw of edge dropout, and the weights, (E',), of the kept entries."""
        weight = graph.weight if isinstance(graph, Bipartite) else given
        if not self.training or self.edge_dropout == 0:
            return graph, weight
        if given is not None and isinstance(graph, Graph):
            kept = torch.rand(graph.num_entries) >= self.edge_dropout
            kept = kept.to(graph.col.device)
            if isinstance(given, MessageWeights):
                return graph.keep(kept), given.keep(kept, 1 / (1 - self.edge_dropout))
            return graph.keep(kept), given[kept] / (1 - self.edge_dropout)
        graph = drop_entries(graph, self.edge_dropout)
        if isinstance(graph, Bipartite) and graph.weight is not None:
            return graph, graph.weight / (1 - self.edge_dropout)
        return graph, like.new_full((graph.num_entries,), 1 / (1 - self.edge_dropout))
