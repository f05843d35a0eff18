"""NCNC's completion before the pools of any relative of NCN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from runner.keys import InConfig
from runner.models.completion import Completion
from runner.models.ncn import NCN
from runner.models.ncnc import NCNC, refuse_pool
from runner.models.ocn import OCN


class Completed(NCNC):
    """A relative of NCN whose first sum is over completed neighbourhoods, as that of NCNC.

    P(v, w) x_w over w ∈ N(u) \\ N(v) and P(u, w) x_w over w ∈ N(v) \\ N(u) are added to the first
    sum, with the weight that the relative gives to w (1 / d_w for OCN); the second stays as it is.
    P is :class:`~runner.models.completion.Completion` of the relative's logit without its second
    sum, for which every inner pair would need the neighbours two steps away.

    Args:
        relative: NCN, or a relative whose first sum is over common neighbours; by default an OCN.
        completion: the completion stage; by default one with its defaults.

    Raises:
        ValueError: if the relative is none, its scores depend on the pairs scored together, or it
            has a pool that is no sum.
    """

    published_with: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        *,
        relative: InConfig[NCN] = None,  # type: ignore[assignment]
        completion: InConfig[Completion] = None,  # type: ignore[assignment]
    ) -> None:
        super(NCNC, self).__init__()  # NCNC's own makes an NCN
        self.ncn = OCN() if relative is None else relative
        if not isinstance(self.ncn, NCN):
            raise ValueError(
                f"relative: a {type(self.ncn).__name__} sums over no neighbours that could be "
                "completed; give NCN or a relative, as model@model.relative=ncn2"
            )
        if self.ncn.normalises_pairs:
            raise ValueError(
                "relative.normaliser=batch: completed neighbours have no share of a batch; give "
                "relative.normaliser=graph"
            )
        refuse_pool(self.ncn.pool)
        self.completion = Completion() if completion is None else completion
        self.depth = 1
