"""Further feature sets of the nodes, beside their own (LAGNN, arXiv 2109.03856)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from runner.errors import RunnerError
from runner.models.encoder import Encoder
from runner.models.neighbour_cvae import Decoder, NeighbourCVAE, dense, require_features
from runner.models.seeded import SeededModule
from runner.ops.aggregate import pool
from runner.ops.csr import Graph
from runner.ops.sparse_rows import SparseRows

MEAN = "mean_of_neighbours"
Join = Literal["sum", "concat"]
Sets = Annotated[int, Ge(0), Le(100)]


class NeighbourMean(nn.Module):
    """One set: the mean of the neighbours' features on the graph at hand, zero without neighbours.

    In training that graph lacks the targets of the batch, if the sampler removes them.
    """

    sets, run, reads_graph = 1, None, True

    def forward(self, features: Tensor | SparseRows, graph: Any) -> list[Tensor]:
        assert isinstance(graph, Graph), "its encoder says that local parts are not enough"
        return [pool(dense(features), graph.rowptr, graph.col, reduce="mean")]


class Generated(SeededModule):
    """K sets: features of a neighbour that each node might have, by the decoder of a CVAE.

    In training each call draws anew. In evaluation a node has the same draw always, which depends
    on the seed and on its number alone.

    Args:
        run: folder of the run that has learned the CVAE.
        num_features: F.
        sets: K.
        seed: of all draws.

    Attributes:
        decoder: frozen; None until it is taken up, from the run of a CVAE or from a checkpoint.
    """

    alike = True  # every process encodes the same nodes
    reads_graph = False
    place: Tensor

    def __init__(self, run: Path, *, num_features: int, sets: int, seed: int) -> None:
        super().__init__(seed)
        self.run = run
        self.num_features = num_features
        self.sets = sets
        self.seed = seed
        self.decoder: Decoder | None = None
        self.register_buffer("place", torch.empty(0), persistent=False)

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Take up the weights of a :class:`Decoder`, whatever its widths.

        Raises:
            RunnerError: if it is one of other features.
        """
        self.decoder = self._empty_decoder(state)
        self.decoder.load_state_dict(state)

    def forward(self, features: Tensor | SparseRows, graph: Any) -> list[Tensor]:
        assert self.decoder is not None, "it is taken up before the first step"
        centre = dense(features)
        shape = len(centre), self.sets, self.decoder.latent
        if self.training:
            noise = torch.randn(shape, generator=self.generator)
        else:  # of NumPy, whose first numbers do not depend on how many are drawn
            drawn = np.random.default_rng(self.seed).standard_normal(shape, dtype=np.float32)
            noise = torch.from_numpy(drawn)
        noise = noise.to(centre.device, centre.dtype)
        with torch.no_grad():
            return [self.decoder.generate(z, centre) for z in noise.unbind(dim=1)]

    def _empty_decoder(self, state: Mapping[str, Tensor]) -> Decoder:
        hidden, width = state["layers.0.weight"].shape
        found = state["layers.2.bias"].numel()
        if found != self.num_features:
            raise RunnerError(
                f"encoder.augment: that run generates {found} features, and these nodes have "
                f"{self.num_features}; learn it on the features of this run"
            )
        decoder = Decoder(num_features=found, hidden=hidden, latent=width - found, bounded=True)
        return decoder.requires_grad_(False).to(self.place.device)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *others: Any
    ) -> None:
        """A checkpoint has the decoder: the run that has learned it may be gone."""
        start = f"{prefix}decoder."
        own = {k.removeprefix(start): v for k, v in state_dict.items() if k.startswith(start)}
        if own:
            self.decoder = self._empty_decoder(own)
        super()._load_from_state_dict(state_dict, prefix, *others)


def sets_of(
    augment: str | None,
    *,
    num_features: int | None,
    num_categories: int | None,
    count: int,
    join: Join,
    seed: int,
) -> NeighbourMean | Generated | None:
    """What gives the further feature sets, None for none.

    Args:
        augment: "mean_of_neighbours", the folder of a run, or None.
        count: of the sets that are generated.
        join: of the maps' outputs.

    Raises:
        RunnerError: if the nodes have no real features, or a setting has no effect.
    """
    if augment is None:
        for key, value, default in (("sets", count, 1), ("join", join, "sum")):
            if value != default:
                raise RunnerError(
                    f"encoder.augment_{key}={value}: it has no effect without encoder.augment; "
                    "leave it out"
                )
        return None
    if count == 0:
        return None
    num_features = require_features(num_features, num_categories, key="encoder.augment")
    if augment != MEAN:
        return Generated(Path(augment), num_features=num_features, sets=count, seed=seed)
    if count > 1:
        raise RunnerError(
            f"encoder.augment_sets={count}: there is one mean of the neighbours; leave it out"
        )
    return NeighbourMean()


class Augmentation(nn.Module):
    """First-layer maps of further feature sets, joined with that of the features themselves.

    Args:
        source: gives the sets, (N, F) each, of features and graph.
        make_map: makes the map of one set; each has its own weights.
        dropout: of every set.
        join: "sum" adds the maps' outputs, "concat" puts them side by side.
    """

    def __init__(
        self,
        source: NeighbourMean | Generated,
        make_map: Callable[[], nn.Module],
        *,
        dropout: nn.Module,
        join: Join,
    ) -> None:
        super().__init__()
        self.source = source
        self.maps = nn.ModuleList(make_map() for _ in range(source.sets))
        self.dropout = dropout
        self.join = join

    def forward(self, first: Tensor, sets: Sequence[Tensor], *graph: Any) -> Tensor:
        """The outputs of all maps.

        Args:
            first: of the map of the features themselves, (N, H).
            sets: of the source.
            graph: what the maps are given beside the features, as a convolution is.
        """
        outputs = [first]
        for x, own in zip(sets, self.maps, strict=True):
            outputs.append(own(self.dropout(x), *graph))
        return torch.cat(outputs, dim=1) if self.join == "concat" else sum(outputs[1:], first)

    @property
    def start(self) -> tuple[str, Path] | None:
        """See :attr:`runner.models.encoder.Encoder.start`."""
        return None if self.source.run is None else ("encoder.augment", self.source.run)

    def begin(self, other: Encoder) -> None:
        """Take up the decoder of a CVAE.

        Raises:
            RunnerError: if that encoder is none.
        """
        assert isinstance(self.source, Generated), "a mean begins with nothing"
        if not isinstance(other, NeighbourCVAE):
            raise RunnerError(
                "encoder.augment: that run's encoder generates no neighbours; give the folder of "
                "a run of objective=neighbour_cvae model=none"
            )
        self.source.take(other.decoder.state_dict())
