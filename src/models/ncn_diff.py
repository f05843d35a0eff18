"""NCN-diff: NCN that also pools the neighbours which the endpoints do not share."""

from __future__ import annotations

from torch import Tensor

from runner.models.explanation import COMMON, SOURCE_ALONE, TARGET_ALONE
from runner.models.ncn import NCN, Members
from runner.ops.csr import Graph
from runner.ops.overlap import neighbourhoods


class NCNDiff(NCN):
    """NCN-diff of Wang et al. (2024); the release's cn1res.

    logit(u, v) = head(β f_cn(Σ_{N(u) ∩ N(v)} x_w) + f_pair(h_u ⊙ h_v)
    + f_second(Σ_{N(u) \\ N(v)} x_w + Σ_{N(v) \\ N(u)} x_w)).

    The arguments are those of :class:`~runner.models.ncn.NCN`.
    """

    pools_twice = True

    def members(self, graph: Graph, pairs: Tensor) -> tuple[Members, Members]:
        common, only_u, only_v = neighbourhoods(graph, pairs)
        return {COMMON: common}, {SOURCE_ALONE: only_u, TARGET_ALONE: only_v}
