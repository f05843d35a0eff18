"""OCN and OCNP: NCN with normalised pools of first- and second-order common neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from runner.keys import InConfig, NotNegative, PositiveInt, Probability, Width
from runner.models.explanation import COMMON
from runner.models.ncn import NCN, Weighed
from runner.models.ncn2 import SOURCE_NEAR
from runner.models.predictor import View
from runner.ops.aggregate import pool
from runner.ops.csr import Graph
from runner.ops.overlap import NeighbourLists, count_common_neighbours
from runner.ops.two_hop import reached_neighbours


class OCN(NCN):
    r"""Orthogonal common neighbours (OCN, and OCNP without ``orthogonal``), arXiv 2505.19719.

    logit(u, v) = head(a1 f_1(Σ_w M1 h_w) + a2 f_2(Σ_w M2 h_w) + β f_pair(h_u ⊙ h_v)), with
    (a1, a2) = cumprod(sigmoid(θ)). Let C1[e, w] be 1 for w ∈ N(u) ∩ N(v), and C2[e, w] the walks
    (A²)[v, w] to w ∈ N(u), w = v included, or 1 where there is one. C2 is of one direction, as in
    the release: (u, v) and (v, u) differ.

    ``normaliser="graph"``: M1 = C1 / d_w and M2 = C2 / s_w, with the degree d_w and the walks of
    two steps from w, s_w = Σ_{x ∈ N(w)} d_x = Σ_x (A²)[w, x]. ``orthogonal`` takes
    M2 = (C2 - c_w M1) / s_w, c_w = ⟨C2, M1⟩ / ⟨M1, M1⟩ over the column w of all linked pairs in
    both orders, each of which is seen without its own link, as targets are. All three are those of
    the graph that the batch may see, without any of its targets: a training pair has the weights
    that it would have were it no link, and in evaluation a score depends on its pair alone.

    ``normaliser="batch"`` is the release. With k1 and k2 the sums of a column of C1 and C2 over the
    pairs of one call: M1 = C1 / k1, or ``single_weight`` where k1 = 1, and M2 = C2 as it is.
    ``orthogonal`` takes C2' = C2 - c M1, divided by the sum of its column where that is not 0, with
    c = ξ / max|M1| and ξ the mean of ⟨C2, M1⟩ over all training calls so far. A score then depends
    on the pairs beside it, and tells positives, which are scored with positives, from negatives.

    Args:
        hidden: width H of the embeddings.
        dropout: rate before every ReLU.
        layer_norm: LayerNorm in f_1 and f_2, f_pair and the head.
        normaliser: what the pools are divided by.
        orthogonal: subtract the first order from the second.
        second_order: "indicator", or "walks", as the release on ogbl-ppa and ogbl-citation2.
        single_weight: of a neighbour that one pair of the batch has; None for 0.
        company: "apart", as the release: a training step normalises positives and negatives in
            calls of their own; "mixed": in one call.
        chunk_size: pairs of a side that a training step normalises together, at most, as the
            release on ogbl-ppa and ogbl-citation2; None for all.

    Raises:
        ValueError: if one of the last three is given where it has no effect.
    """

    pools_twice = True
    published_with: ClassVar[Mapping[str, Any]] = {"normaliser": "batch", "company": "apart"}

    def __init__(
        self,
        *,
        hidden: InConfig[Width] = 64,
        dropout: InConfig[Probability] = 0.1,
        layer_norm: InConfig[bool] = True,
        normaliser: Literal["graph", "batch"] = "graph",
        orthogonal: bool = True,
        second_order: Literal["indicator", "walks"] = "indicator",
        single_weight: NotNegative | None = None,
        company: Literal["apart", "mixed"] = "apart",
        chunk_size: PositiveInt | None = None,
    ) -> None:
        super().__init__(
            hidden=hidden,
            dropout=dropout,
            node_transform=False,
            last_linear=True,
            layer_norm=layer_norm,
        )
        for name, value, among in (
            ("normaliser", normaliser, ("graph", "batch")),
            ("second_order", second_order, ("indicator", "walks")),
            ("company", company, ("apart", "mixed")),
        ):
            if value not in among:
                raise ValueError(f"{name} must be {' or '.join(among)}, got {value!r}")
        of_batch, apart = normaliser == "batch", company == "apart"
        if not of_batch and not (single_weight is chunk_size is None and apart):
            raise ValueError(
                f"single_weight={single_weight}, company={company} and chunk_size={chunk_size} are "
                "of the pairs scored together, which normaliser=graph does not read; leave them "
                "out, or give normaliser=batch"
            )
        if chunk_size is not None and not apart:
            raise ValueError(
                f"chunk_size={chunk_size} cuts each side into chunks, and company=mixed has no "
                "sides; give chunk_size=null"
            )
        self.theta = nn.Parameter(torch.ones(2))
        self.orthogonal = orthogonal
        self.walks = second_order == "walks"
        self.single_weight = single_weight or 0.0
        self.overlap = RunningMean() if of_batch and orthogonal else None
        self.normalises_pairs = of_batch
        self.sides_apart = of_batch and apart
        self.chunk_size = chunk_size
        self.reach = 1 if of_batch else 2  # s_w sums over the neighbours of w

    def calls(self, positives: Tensor, negatives: Tensor) -> Sequence[Tensor]:
        if not self.sides_apart:
            return super().calls(positives, negatives)
        sides = positives, negatives
        return [call for side in sides for call in side.split(self.chunk_size or 2**31, dim=1)]

    def read(self, view: View) -> Graph:
        if self.normalises_pairs:
            return view.graph
        return _normalised(view, orthogonal=self.orthogonal, walks=self.walks)

    def first_factor(self, view: View) -> Tensor | None:
        return None if self.normalises_pairs else _inverse(view.degree())

    def factors(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        first, second = self.theta.sigmoid().cumprod(0).split(1)
        return first, self.beta, second

    def weighed(self, graph: Graph, pairs: Tensor) -> tuple[Weighed, Weighed]:
        listed, shared, walks = reached_neighbours(graph, pairs, count=self.walks)
        common, reached = listed.keep(shared), listed.keep(walks > 0)
        c2 = walks[walks > 0].double()
        if isinstance(graph, _Normalised):
            m1, m2 = graph.first[common.node], c2 * graph.second[reached.node]
            of_common = None if graph.common is None else graph.common[common.node]
        else:
            m1, m2, of_common = self._in_batch(graph, common, reached, c2, walks[shared])
        second = [(SOURCE_NEAR, reached, m2)]
        if of_common is not None:
            second.append((COMMON, common, of_common))
        return [(COMMON, common, m1)], second

    def _in_batch(
        self,
        graph: Graph,
        common: NeighbourLists,
        reached: NeighbourLists,
        c2: Tensor,
        c2_of_common: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The weights of M1, and of M2 those of C2 and, if orthogonal, of C1."""
        k1 = torch.bincount(common.node, minlength=graph.num_nodes)[common.node].double()
        m1 = torch.where(k1 == 1, self.single_weight, 1 / k1)
        if self.overlap is None:
            return m1, c2, None
        if self.training:
            self.overlap.add(float((c2_of_common * m1).sum()))
        most = float(m1.max()) if m1.numel() else 0.0
        c = self.overlap.mean / (most or 1.0)
        k2 = c2.new_zeros(graph.num_nodes).index_add_(0, reached.node, c2)
        k2.index_add_(0, common.node, -c * m1)
        k2[k2 == 0] = 1
        return m1, c2 / k2[reached.node], -c * m1 / k2[common.node]


class RunningMean(nn.Module):
    """The mean of all numbers so far, which a checkpoint keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.count = 0.0, 0

    def add(self, number: float) -> None:
        self.count += 1
        self.mean += (number - self.mean) / self.count

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self.mean, self.count], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        self.mean, self.count = float(state[0]), int(state[1])


@dataclass(frozen=True, eq=False, kw_only=True)
class _Normalised(Graph):
    """A graph whose nodes have weights as neighbours.

    Shapes:
        first, second, common: (N,) float64, factors of C1 in M1, of C2 in M2, and of C1 in M2;
        the last is None without orthogonality.
    """

    first: Tensor
    second: Tensor
    common: Tensor | None


def _normalised(view: View, *, orthogonal: bool, walks: bool) -> _Normalised:
    graph, degree = view.graph, view.degree()
    s = _inverse(pool(degree.double().unsqueeze(1), graph.rowptr, graph.col).squeeze(1))
    share = _shared_walks(graph, walks=walks) if orthogonal else None
    return _Normalised(
        graph.rowptr,
        graph.col,
        graph.symmetric,
        first=_inverse(degree),
        second=s,
        common=None if share is None else -share * s,
    )


def _inverse(counts: Tensor) -> Tensor:
    return 1 / counts.double().clamp(min=1)


def _shared_walks(graph: Graph, *, walks: bool) -> Tensor:
    """c_w / d_w, (N,): the mean C2 of the linked pairs that have w as a common neighbour.

    A pair (u, v) without its own link has one walk from v to w less than the triangles of the link
    (v, w), of which it is one.
    """
    once = graph.row < graph.col
    ends = torch.stack((graph.row[once], graph.col[once].long()))
    triangles = count_common_neighbours(graph, ends)
    others = triangles - 1 if walks else triangles > 1
    pairs, reached = torch.zeros(2, graph.num_nodes, dtype=torch.float64, device=ends.device)
    for end in ends:
        pairs.index_add_(0, end, triangles.double())
        reached.index_add_(0, end, (triangles * others).double())
    return reached / pairs.clamp(min=1)
