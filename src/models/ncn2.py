"""NCN-2: NCN that also pools the neighbours of one endpoint two steps away from the other."""

from __future__ import annotations

from torch import Tensor

from runner.models.explanation import COMMON
from runner.models.ncn import NCN, Members
from runner.ops.csr import Graph
from runner.ops.overlap import common_neighbours
from runner.ops.two_hop import two_hop_overlaps

SOURCE_NEAR = "neighbours of the source two steps from the target"
TARGET_NEAR = "neighbours of the target two steps from the source"


class NCN2(NCN):
    """NCN-2 of Wang et al. (2024); the release's cn1.5.

    logit(u, v) = head(β f_cn(Σ_{N(u) ∩ N(v)} x_w) + f_pair(h_u ⊙ h_v)
    + f_second(Σ_{N(u) ∩ N²(v)} x_w + Σ_{N²(u) ∩ N(v)} x_w)), where N² are the ends of walks of two
    steps: the rows of A², its diagonal included, an entry counting as present or absent.

    The arguments are those of :class:`~runner.models.ncn.NCN`.
    """

    pools_twice = True

    def members(self, graph: Graph, pairs: Tensor) -> tuple[Members, Members]:
        of_u, of_v = two_hop_overlaps(graph, pairs)
        second = {SOURCE_NEAR: of_u, TARGET_NEAR: of_v}
        return {COMMON: common_neighbours(graph, pairs)}, second
