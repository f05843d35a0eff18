"""NCN-2: NCN that also pools the neighbours of one endpoint two steps away from the other."""

from __future__ import annotations

from torch import Tensor

from runner.models.ncn import NCN
from runner.ops.aggregate import pool
from runner.ops.csr import Graph
from runner.ops.two_hop import two_hop_overlaps


class NCN2(NCN):
    """NCN-2 of Wang et al. (2024); the release's cn1.5.

    logit(u, v) = head(β f_cn(Σ_{N(u) ∩ N(v)} x_w) + f_pair(h_u ⊙ h_v)
    + f_second(Σ_{N(u) ∩ N²(v)} x_w + Σ_{N²(u) ∩ N(v)} x_w)), where N² are the ends of walks of two
    steps: the rows of A², its diagonal included, an entry counting as present or absent.

    The arguments are those of :class:`~runner.models.ncn.NCN`.
    """

    pools_twice = True

    def pools(self, x: Tensor, graph: Graph, pairs: Tensor) -> tuple[Tensor, Tensor]:
        common, _ = super().pools(x, graph, pairs)
        of_u, of_v = (pool(x, lists.rowptr, lists.node) for lists in two_hop_overlaps(graph, pairs))
        return common, of_u + of_v
