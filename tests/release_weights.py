"""Fill our modules with weights saved by published releases.

A release names its parameters after its own modules; a file of :mod:`tests.releases` holds the
mapping of each release to ours.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from tests.releases import buddy, hl_gnn, lcm, lpformer, mplp, ncn, ocn, refined_gae, sir_gcn, tc
from tests.releases.translation import fill
from torch import nn

RELEASES = (buddy, hl_gnn, lcm, lpformer, mplp, ncn, ocn, refined_gae, sir_gcn, tc)


def load_release(module: nn.Module, tensors: Mapping[str, np.ndarray]) -> None:
    """Fill ``module`` in place with a release's weights.

    Args:
        module: one that a release has, built in the same form as the release's.
        tensors: release parameter name to array: the entries after ``<form>/weight/``. Of a module
            that several releases have, they tell which one it is.

    Raises:
        KeyError: on a name that the module has no place for, unless the release stores it unused,
            and where a parameter of the module is missing.
        ValueError: on a wrong shape.
        TypeError: on another kind of module.
    """
    found = [release.translate(module) for release in RELEASES]
    known = [translation for translation in found if translation is not None]
    if not known:
        raise TypeError(f"no release has a {type(module).__name__}")
    fill(module, tensors, min(known, key=lambda of: sum(not of.knows(name) for name in tensors)))
